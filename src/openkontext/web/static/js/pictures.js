// Pictures that are decoded before they are shown, so that one takes the place of another without a flicker.

import { $, h } from "./dom.js";

const KEPT = 12;

/** An `<img>` of `src` with these further attributes, decoded; null where there is no picture. */
export async function load(src, props = {}) {
  if (!src) return null;
  const image = h("img", { src, alt: "", draggable: "false", ...props });
  return image.decode().then(() => image, () => null);
}

/**
 * As `load`, of a file of the server that is asked for once and then kept here, `image.src` being a blob's: some
 * keys' results are delivered only once, and a download should work after the file has expired.
 */
export async function fetched(path, props) {
  return path ? load(await addressOf(path), props) : null;
}

// The blobs' addresses by path, the one that was used last at the end.
const kept = new Map();

function addressOf(path) {
  const address = kept.get(path) ?? read(path);
  kept.delete(path);
  kept.set(path, address);
  if (kept.size > KEPT) drop(kept.keys().next().value);
  return address;
}

async function read(path) {
  const answer = await fetch(path).catch(() => null);
  if (answer?.ok) return URL.createObjectURL(await answer.blob());
  kept.delete(path);
  return null;
}

async function drop(path) {
  const address = kept.get(path);
  kept.delete(path);
  URL.revokeObjectURL(await address);
}

/** A frame in which a picture comes about: the input at first, then one preview after the other. */
export class Live {
  #turn = 0;
  // The previews are numbered: the last that came, and the one that is seen.
  #last = 0;
  #shown = 0;

  constructor(frame) {
    this.frame = frame;
  }

  /** Show the picture that is edited; resolves to it once it is there, to null if it isn't, or is no more. */
  async begin(src) {
    const turn = ++this.#turn;
    this.frame.replaceChildren();
    this.sharpen(0);
    const image = await load(src, { class: "live-input" });
    if (turn !== this.#turn || !image) return null;
    this.frame.prepend(image);
    return image;
  }

  /** Put a preview in place of the last. */
  async preview(src) {
    const turn = this.#turn;
    const number = ++this.#last;
    const image = await load(src, { class: "live-preview", dataset: { testid: "preview" } });
    // An older one may take longer to decode.
    if (!image || turn !== this.#turn || number < this.#shown) return;
    this.#shown = number;
    const before = $(".live-preview", this.frame);
    if (before) before.replaceWith(image);
    else this.frame.append(image);
  }

  /** How far it is, 0 … 1: the previews get sharper with the steps. */
  sharpen(share) {
    this.frame.style.setProperty("--soft", (1 - share).toFixed(2));
  }
}
