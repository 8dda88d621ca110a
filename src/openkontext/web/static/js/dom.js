// Making and finding elements. Text is always text: nothing here parses HTML.

/** What all of the service's addresses begin with, "" as a rule. */
export const ROOT = document.documentElement.dataset.root;

const SVG = "http://www.w3.org/2000/svg";

/** The first element that matches, or null. */
export const $ = (selector, from = document) => from.querySelector(selector);

/** All elements that match, an array. */
export const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

/**
 * An HTML element. `props`: attributes, and `class`, `dataset` (object), `on` (listeners by event); true sets an
 * attribute, false and null leave it out. Children: nodes, texts, arrays of those; null and false are skipped.
 */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An SVG element, as `h`. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** Put `children` in place of all that is in `node`. */
export function replace(node, ...children) {
  node.replaceChildren(...flat(children));
}

/** Tell those who listen to the page instead of looking at it. */
export function announce(text) {
  const announcer = document.getElementById("announcer");
  // The same text twice is news twice: an unchanged node would be silent.
  announcer.textContent = announcer.textContent === text ? `${text}\u00a0` : text;
}

/** Write only what has changed: a selection, or a screen reader's place, survives. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Show `text` in `node`, or hide the node where there is none. */
export function tell(node, text) {
  node.textContent = text || "";
  node.hidden = !text;
}

/** Scroll until `element` is in sight, at once where nothing is to move; `block` is scrollIntoView's. */
export function bringIntoSight(element, block = "start") {
  const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth";
  element.scrollIntoView({ behavior, block });
}

/** Mark `node` as the one of its kind that is shown, or not. */
export function markCurrent(node, isCurrent) {
  node.ariaCurrent = isCurrent ? "true" : null;
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) set(node, name, value);
  node.append(...flat(children));
  return node;
}

function set(node, name, value) {
  if (name === "dataset") Object.assign(node.dataset, value);
  else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
  else if (value === true) node.setAttribute(name, "");
  else if (value !== false && value != null) node.setAttribute(name, value);
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child != null && child !== false);
}
