// A request of the history as a row: its pictures, what it was and came to, and what can be done with it.

import { inPlayground, rowButton } from "./account-rows.js";
import { h, replace, svg } from "./dom.js";
import { pictureOf, stateOf, toEdit } from "./edits.js";
import { explain } from "./failures.js";
import { credits, number, seconds, when } from "./format.js";

const STATES = { QUEUED: "Waiting", PROCESSING: "Running", COMPLETED: "Completed", FAILED: "Failed" };
const NO_OUTPUT = { QUEUED: "to come", PROCESSING: "to come", COMPLETED: "expired", FAILED: "none" };

/** The row of a history entry. `actions`: `{replay(entry), remove(entry)}`, null where the key may not. */
export function requestRow(entry, actions) {
  const edit = toEdit(entry);
  const state = stateOf(edit);
  return h(
    "li", { class: "request", dataset: { testid: "request", request: edit.id, state } },
    pair(edit, state),
    h("div", { class: "what" }, prompt(edit), facts(edit, state)),
    h("div", { class: "row actions" }, buttons(entry, state, actions)),
    details(entry, edit),
  );
}

function pair(edit, state) {
  return h(
    "div", { class: "pair" },
    picture(edit.input, "Before", state === "gone" ? "expired" : "by its URL"), arrow(),
    picture(edit.output, "After", NO_OUTPUT[edit.status]),
  );
}

function picture(url, name, words) {
  const frame = h("div", { class: "thumb" });
  const without = (text) => replace(frame, h("span", {}, text));
  if (!url) without(words);
  else frame.append(image(url, name, () => without("expired")));
  return frame;
}

const image = (url, alt, error) => h("img", { src: pictureOf(url), alt, loading: "lazy", on: { error } });

function arrow() {
  const path = svg("path", { d: "M2 6h11M9 2l4 4-4 4" });
  return svg("svg", { class: "arrow", viewBox: "0 0 16 12", "aria-hidden": "true" }, path);
}

function prompt({ prompt: text }) {
  if (text) return h("p", { class: "prompt" }, text);
  return h("p", { class: "prompt muted" }, "The prompt isn't kept: the key delivers results once.");
}

function facts(edit, state) {
  const code = edit.code && ` · ${edit.code.replaceAll("_", " ")}`;
  const gone = state === "gone" && edit.prompt && "its pictures have expired or were erased";
  const told = [when(edit.createdAt), edit.cost > 0 && credits(edit.cost), gone].filter(Boolean);
  const badge = h("span", { class: "badge", dataset: { state: edit.status } }, STATES[edit.status], code);
  return h("p", { class: "row muted small" }, badge, h("span", {}, told.join(" · ")));
}

function buttons(entry, state, actions) {
  const { request_id: id } = entry;
  const isUnderWay = state === "queued" || state === "processing";
  const about = entry.parameters.prompt ?? id;
  if (state === "gone") return [];
  return [
    h("a", { class: "button small", href: inPlayground(id), dataset: { testid: "open" } }, "Open"),
    actions && !isUnderWay && rowButton("Replay", "replay", () => actions.replay(entry), { about }),
    actions && rowButton(isUnderWay ? "Cancel" : "Delete", "delete", () => actions.remove(entry), { about }),
  ];
}

function details(entry, edit) {
  const pairs = [...outcome(edit), ...times(entry), ...settings(edit.parameters), ...origin(entry)];
  const known = pairs.filter(([, value]) => value);
  const row = ([name, value, width]) => h("div", { class: width }, h("dt", {}, name), h("dd", {}, value));
  return h("details", {}, h("summary", {}, "Details"), h("dl", { class: "facts" }, known.map(row)));
}

function outcome({ error, code, moderation }) {
  if (!code) return [];
  const { title, what, hint } = explain({ code, message: error ?? "", moderation });
  const words = [`${title}.`, what, hint].filter(Boolean).join(" ");
  return [["What went wrong", [words, " ", h("code", { dataset: { testid: "code" } }, code)], "whole"]];
}

function times({ created_at: created, started_at: started, ended_at: ended, metrics, cost }) {
  const between = (from, to) => from && to && (Date.parse(to) - Date.parse(from)) / 1000;
  const waited = metrics?.queue_time ?? between(created, started);
  const ran = metrics?.inference_time ?? between(started, ended);
  return [
    ["Submitted", when(created)],
    ["Waited", typeof waited === "number" && seconds(waited)],
    ["Ran", typeof ran === "number" && seconds(ran)],
    ["Cost", credits(cost)],
  ];
}

function settings({ seed, aspect_ratio: shape, guidance, num_inference_steps: steps, ...rest }) {
  const { output_format: format, output_quality: quality, disable_safety_checker: unsafe } = rest;
  return [
    // Beyond this, numbers here are rounded: rather none than a wrong one.
    ["Seed", Number.isSafeInteger(seed) && String(seed)],
    ["Shape", shape === "match_input_image" ? "as the input" : shape],
    ["Guidance", number(guidance)],
    ["Steps", String(steps)],
    ["Format", format === "png" ? format : `${format}, quality ${quality}`],
    ["Safety checker", unsafe ? "off" : "on"],
  ];
}

function origin({ request_id: id, parent_request_id: parent, key_hint: hint }) {
  return [
    ["Key", h("span", { class: "mono" }, `…${hint}`)],
    ["Made from", parent && h("a", { class: "mono", href: inPlayground(parent) }, parent), "long"],
    ["Request", h("span", { class: "mono" }, id), "long"],
  ];
}
