// Variations: one edit with several seeds, side by side, each with its own progress.

import { $, announce, h, markCurrent, replace } from "./dom.js";
import { pictureOf } from "./edits.js";
import { explain } from "./failures.js";
import { count } from "./format.js";
import { fetched, load } from "./pictures.js";

/** The section of _result.html that is hidden until there are any. */
export class Variations {
  #tiles = new Map();

  /** `actions`: `{select(id), useSeed(edit)}`. */
  constructor(section, actions) {
    this.section = section;
    this.actions = actions;
  }

  /** A tile for each `{id, seed}`, seed null where the server draws it; `size`: `{width, height}`, or null. */
  start(runs, size = null) {
    this.#tiles = new Map(runs.map((run) => [run.id, new Tile(run, this.actions)]));
    const list = $(".variation-list", this.section);
    list.style.setProperty("--aspect", String(size?.width ? size.width / size.height : 1));
    replace(list, [...this.#tiles.values()].map((tile) => tile.item));
    this.section.hidden = false;
  }

  /** It waits: `position` in the queue, 1 for the next. */
  queued(id, { position = null } = {}) {
    this.#tiles.get(id)?.turn("queued", position > 1 ? `${position - 1} before it` : "Waiting");
  }

  /** It runs. */
  processing(id, { step = 0, steps = 0 } = {}) {
    const words = step ? `Step ${step} of ${steps}` : "Starting";
    this.#tiles.get(id)?.turn("processing", words, steps ? step / steps : 0);
  }

  /** What it looks like by now; resolves once that is shown. */
  async preview(id, src) {
    await this.#tiles.get(id)?.show(load(src));
  }

  /** It is COMPLETED; resolves once it is shown. */
  async done(id, edit) {
    await this.#tiles.get(id)?.done(edit);
    this.#tellOfTheLast();
  }

  /** It is FAILED, or was never taken in. */
  failed(id, error) {
    this.#tiles.get(id)?.turn("failed", explain(error).title);
    this.#tellOfTheLast();
  }

  /** Mark the one that is shown as the result. */
  select(id) {
    for (const [each, tile] of this.#tiles) tile.mark(each === id);
  }

  /** Away with them. */
  clear() {
    this.#tiles.clear();
    this.section.hidden = true;
  }

  #tellOfTheLast() {
    const states = [...this.#tiles.values()].map((tile) => tile.state);
    const done = states.filter((state) => state === "done").length;
    const ended = states.filter((state) => state === "failed").length + done;
    if (ended && ended === states.length) announce(`${done} of ${count(ended, "variation")} done`);
  }
}

class Tile {
  #edit = null;
  #number = 0;

  constructor({ id, seed }, { select, useSeed }) {
    this.picture = h("span", { class: "variation-picture" });
    this.seed = h("span", null, seed === null ? "Random seed" : `Seed ${seed}`);
    this.words = h("span", { class: "muted" }, "Waiting");
    this.bar = h("progress", { class: "bar", max: 1, value: 0, "aria-label": "Steps done" });
    this.button = h("button", { type: "button" }, this.picture, this.seed, this.words);
    Object.assign(this.button.dataset, { testid: "variation", state: "queued" });
    this.button.addEventListener("click", () => select(id));
    this.take = h("button", { class: "button small", type: "button", hidden: true }, "Use this seed");
    this.take.addEventListener("click", () => useSeed(this.#edit));
    this.item = h("li", null, this.button, h("div", { class: "variation-foot" }, this.bar, this.take));
  }

  get state() {
    return this.button.dataset.state;
  }

  turn(state, words, share = 0) {
    this.button.dataset.state = state;
    this.words.textContent = words;
    this.bar.value = share;
    this.bar.hidden = !["queued", "processing"].includes(state);
  }

  async show(loading) {
    const number = ++this.#number;
    const image = await loading;
    if (image && number === this.#number) replace(this.picture, image);
  }

  async done(edit) {
    this.#edit = edit;
    await this.show(fetched(pictureOf(edit.output), { alt: `Variation with the seed ${edit.seed}` }));
    this.seed.textContent = `Seed ${edit.seed}`;
    this.seed.title = edit.seed;
    this.take.hidden = false;
    this.turn("done", "Done");
  }

  mark(isShown) {
    markCurrent(this.button, isShown);
  }
}
