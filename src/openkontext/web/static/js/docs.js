// The reference is whole without this: here come a search, bodies that open where they are named, and copying.

import { copies } from "./copy.js";
import { $, $$, announce, h, markCurrent, replace } from "./dom.js";
import { count } from "./format.js";

const search = $("#docs-search");
const entries = $$("[data-find]").map((node) => ({ node, text: node.textContent.toLowerCase() }));
const links = new Map($$(".contents a").map((link) => [link.hash.slice(1), link]));

function find() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const { node, text } of entries) node.hidden = !words.every((word) => text.includes(word));
  for (const group of $$(".group")) group.hidden = words.length > 0 && !shown(group).length;
  for (const [id, link] of links) link.parentElement.hidden = isHidden(document.getElementById(id));
  tellFound(words.length > 0);
}

const isHidden = (node) => node.closest("[hidden]") !== null;
const shown = (group) => $$("[data-find]:not([hidden])", group);

function tellFound(searching) {
  const found = shown(document.body);
  const operations = found.filter((node) => node.matches(".operation")).length;
  const text = found.length ? count(operations, "operation") : "Nothing found. Escape shows everything.";
  $("#docs-found").textContent = searching ? text : "";
  if (searching) announce(text);
}

function clear() {
  search.value = "";
  find();
}

/** Go to the first that was found. */
function goToFirst() {
  const first = $(".operation:not([hidden]), .shared:not([hidden]), [data-find]:not([hidden])");
  if (!first) return;
  location.hash = first.id || first.parentElement.id;
  $("a", first)?.focus({ preventScroll: true });
}

/** Show what the address names, if the search has hidden it. */
function reveal() {
  const target = $(":target");
  if (!target || !isHidden(target)) return;
  clear();
  target.scrollIntoView();
}

/** Write a shared body's fields where it is named, the first time that it is opened. */
function fill(details) {
  const fields = $(".fields", document.getElementById(details.dataset.body)).cloneNode(true);
  for (const inner of $$("[id]", fields)) inner.removeAttribute("id");
  replace(details, $("summary", details), fields);
}

function copyButton(figure) {
  const code = $("code", figure);
  const button = h("button", { class: "button quiet small", type: "button" }, "Copy");
  copies(button, () => code.textContent, code);
  return button;
}

/** Mark the operation that is being read in the contents. */
function followReading() {
  const seen = new Set();
  const observer = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) seen[isIntersecting ? "add" : "delete"](target);
    const current = $$(".operation").find((node) => seen.has(node));
    if (current) mark(current.id);
  }, { rootMargin: "-80px 0px -50% 0px" });
  for (const node of $$(".operation")) observer.observe(node);
}

function mark(id) {
  const link = links.get(id);
  if (link.ariaCurrent) return;
  for (const each of links.values()) markCurrent(each, each === link);
  keepInView(link);
}

function keepInView(link) {
  const box = $(".contents");
  const [inner, outer] = [link.getBoundingClientRect(), box.getBoundingClientRect()];
  const isSeen = inner.top >= outer.top && inner.bottom <= outer.bottom;
  if (!isSeen) box.scrollTop += inner.top - outer.top - outer.height / 2;
}

const isTyping = (target) => target.matches("input, textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  event.preventDefault();
  search.focus();
  search.select();
});
search.addEventListener("input", find);
search.addEventListener("keydown", (event) => {
  if (event.key === "Enter") goToFirst();
  if (event.key === "Escape") clear();
});
addEventListener("hashchange", reveal);
for (const details of $$(".peek")) details.addEventListener("toggle", () => fill(details), { once: true });
for (const figure of $$(".docs figure")) figure.append(copyButton(figure));
followReading();
