// What there is to know of an edit: its seed, cost, times, size and settings, and how long it is kept.

import { copies } from "./copy.js";
import { h } from "./dom.js";
import { ago, credits, seconds } from "./format.js";

/** The facts of an edit as `<dt>` and `<dd>`, a pair in each `<div>`; `image`: its picture, or null. */
export function facts(edit, image) {
  const { num_inference_steps: steps, guidance } = edit.parameters;
  return [
    edit.seed && fact("Seed", seedOf(edit.seed)),
    edit.cost !== null && fact("Cost", h("span", { dataset: { testid: "result-cost" } }, credits(edit.cost))),
    edit.times && fact("Time", h("span", { dataset: { testid: "result-time" } }, timesOf(edit.times))),
    image && fact("Size", `${image.naturalWidth} × ${image.naturalHeight} px`),
    steps !== undefined && fact("Steps", String(steps)),
    guidance !== undefined && fact("Guidance", String(guidance)),
  ].filter(Boolean);
}

/** A sentence on how long the edit is kept. */
export function life({ pinned, expiresAt }) {
  if (pinned) return "It stays until you erase it.";
  return expiresAt ? `It is erased ${ago(expiresAt)}, unless you keep it.` : "";
}

const fact = (name, value) => h("div", null, h("dt", null, name), h("dd", { class: "number" }, value));

function seedOf(seed) {
  const text = h("span", { dataset: { testid: "result-seed" } }, seed);
  const button = h("button", { class: "link", type: "button", "aria-label": "Copy the seed" }, "Copy");
  copies(button, () => seed, text);
  return [text, " ", button];
}

function timesOf({ inference, queue }) {
  const waited = queue >= 0.5 ? ` (waited ${seconds(queue)})` : "";
  return seconds(inference) + waited;
}

