// An edit in the tree: its picture, what was asked for, when, and how it stands.

import { h, markCurrent, replace, svg } from "./dom.js";
import { pictureOf, stateOf } from "./edits.js";
import { explain } from "./failures.js";
import { ago, when } from "./format.js";

const WORDS = { queued: "Waiting", processing: "Running", done: "", gone: "Erased" };
const USE = "M5 12h11M11 6.5 16.5 12 11 17.5M19.5 5v14";
const ERASE = "M5 7h14M10 7V5h4v2M7 7l.8 12h8.4L17 7M10.5 10.5v5M13.5 10.5v5";

/** A list item, to be filled with an edit whenever that changed. `actions`: `{useAsInput(edit), erase()}`. */
export class Row {
  constructor(actions) {
    this.input = h("span", { class: "thumb small-thumb" });
    this.output = h("span", { class: "thumb" });
    this.prompt = h("span", { class: "tree-prompt" });
    this.state = h("span");
    this.time = h("time");
    const about = h("span", { class: "small muted" }, this.time, this.state);
    const words = h("span", { class: "tree-words" }, this.prompt, about);
    const shown = [this.input, this.output, words];
    this.main = h("button", { class: "tree-main", type: "button", tabindex: -1 }, shown);
    this.main.dataset.testid = "history-item";
    this.use = this.#action("Use as input", USE, "history-use", () => actions.useAsInput(this.edit));
    this.erase = this.#action("Erase", ERASE, "history-delete", () => actions.erase());
    this.children = h("ul");
    const row = h("div", { class: "tree-row" }, this.main, this.use, this.erase);
    this.item = h("li", null, row, this.children);
  }

  /** Show the edit as it is now; without its output where there are to be no `thumbnails`. */
  fill(edit, thumbnails) {
    const before = this.edit ?? {};
    this.edit = edit;
    const state = stateOf(edit);
    this.main.dataset.request = edit.id;
    this.main.dataset.state = state === "gone" ? "expired" : state;
    this.prompt.textContent = edit.prompt ?? "Edit without a prompt";
    this.state.textContent = edit.code ? explain(edit).title : WORDS[state];
    this.use.hidden = state !== "done";
    this.erase.hidden = !["done", "failed"].includes(state);
    this.tick();
    if (edit.input !== before.input) thumbnail(this.input, edit.input);
    if (thumbnails && edit.output !== before.output) thumbnail(this.output, edit.output);
  }

  /** The edits that were made from this one, as rows; one that was made from none shows its input. */
  nest(rows, { isRoot }) {
    replace(this.children, rows.map((row) => row.item));
    this.children.hidden = !rows.length;
    this.input.hidden = !isRoot || !this.edit.input;
  }

  /** How long ago it was, now. */
  tick() {
    const { createdAt } = this.edit;
    if (!createdAt) return;
    this.time.dateTime = createdAt;
    this.time.title = when(createdAt);
    // The server's clock may be ahead of this one.
    this.time.textContent = ago(new Date(Math.min(Date.parse(createdAt), Date.now())).toISOString());
  }

  /** Whether the Tab key comes by here. */
  reachable(isOn) {
    for (const button of [this.main, this.use, this.erase]) button.tabIndex = isOn ? 0 : -1;
  }

  /** Whether it is the edit that is shown. */
  mark(isShown) {
    markCurrent(this.main, isShown);
  }

  #action(name, path, testid, act) {
    const stroke = { fill: "none", stroke: "currentColor", "stroke-width": 1.6, "stroke-linejoin": "round" };
    const lines = svg("path", { d: path, ...stroke });
    const icon = svg("svg", { viewBox: "0 0 24 24", width: 18, height: 18, "aria-hidden": "true" }, lines);
    const named = { class: "icon-button", type: "button", tabindex: -1, title: name, "aria-label": name };
    return h("button", { ...named, dataset: { testid }, on: { click: act } }, icon);
  }
}

function thumbnail(place, url) {
  const image = url && h("img", { alt: "", loading: "lazy", decoding: "async", draggable: "false" });
  if (image) image.src = pictureOf(url);
  // Its address may have expired since.
  image?.addEventListener("error", () => image.remove());
  replace(place, image);
}
