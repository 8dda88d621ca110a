// Before and after in one frame: a slider that can be dragged anywhere on the picture.

import { $, replace } from "./dom.js";

/** A frame of _result.html that shows two pictures of one edit, each whole. */
export class Compare {
  #isWanted = true;

  constructor(frame) {
    this.frame = frame;
    this.range = $("input", frame);
    this.canCompare = false;
    this.range.addEventListener("input", () => this.#split());
    frame.addEventListener("pointerdown", (event) => this.#grab(event));
    frame.addEventListener("pointermove", (event) => this.#drag(event));
    this.#split();
  }

  /** Put pictures in, elements that are decoded; without a `before` there is nothing to compare. */
  show(before, after) {
    replace($(".before", this.frame), before);
    replace($(".after", this.frame), after);
    this.canCompare = Boolean(before);
    this.turn(this.#isWanted);
  }

  /** Show both, or only the picture that was made. */
  turn(isOn) {
    this.#isWanted = isOn;
    this.range.disabled = !(isOn && this.canCompare);
    this.frame.classList.toggle("comparing", !this.range.disabled);
  }

  #split() {
    const share = Number(this.range.value);
    this.frame.style.setProperty("--split", `${share}%`);
    this.range.setAttribute("aria-valuetext", `${share} % before, ${100 - share} % after`);
  }

  // By itself a range follows a finger on its thumb alone, and its thumb never reaches the edges.
  #grab(event) {
    if (this.range.disabled || event.button !== 0) return;
    event.preventDefault();
    this.frame.setPointerCapture(event.pointerId);
    this.range.focus({ preventScroll: true });
    this.#follow(event);
  }

  #drag(event) {
    if (this.frame.hasPointerCapture(event.pointerId)) this.#follow(event);
  }

  #follow({ clientX }) {
    const { left, width } = this.frame.getBoundingClientRect();
    this.range.value = String(Math.round(((clientX - left) / width) * 100));
    this.#split();
  }
}
