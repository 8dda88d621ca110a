// Rows that come and go without disturbing those that stay, and what is in them.

import { api } from "./api.js";
import { $, h, ROOT } from "./dom.js";
import { number } from "./format.js";

// A page has no more.
const MOST = 100;
// What each row was made of.
const said = new WeakMap();

/** A small button; `about` names what it acts on to those who listen, since every row has one. */
export function rowButton(name, testid, click, { about = "", danger = false } = {}) {
  const kind = `button small${danger ? " danger" : ""}`;
  const props = { type: "button", class: kind, dataset: { testid }, on: { click } };
  return h("button", props, name, about && h("span", { class: "visually-hidden" }, ` ${about}`));
}

/** A cell; where rows are cards, `label` stands beside it. */
export const cell = (label, ...children) => h("td", { dataset: { label } }, children);

/** A line of small print. */
export const note = (text) => h("span", { class: "note muted small" }, text);

/** The address of a request in the playground. */
export const inPlayground = (id) => `${ROOT}/#request=${id}`;

/** The first letters of a request's id, which lead to it in the playground. */
export function requestLink(id) {
  return h("a", { class: "mono", href: inPlayground(id), title: id }, id.slice(0, 8));
}

/** Of a list in pages at `path`, by the name `items`: `found`, the first `wanted`, and the `total` of all. */
export async function firstOf(path, items, wanted) {
  const pages = Array.from({ length: Math.ceil(wanted / MOST) }, (_, index) => index + 1);
  const read = (page) => api(`${path}?page=${page}&per_page=${Math.min(wanted, MOST)}`);
  const bodies = await Promise.all(pages.map(read));
  return { found: bodies.flatMap((body) => body[items]).slice(0, wanted), total: bodies[0].total };
}

/** Have a list's "Older" do `show()`; where it then is no more, the focus goes to the number of rows. */
export function onMore(list, show) {
  const button = $(`#${list}-more`);
  button.addEventListener("click", async () => {
    await show();
    if (button.hidden) $(`#${list}-count`).focus();
  });
}

/** How many are shown of how many; nothing where there are none. */
export const share = (shown, total) => (total ? `${number(shown)} of ${number(total)}` : "");

/**
 * Show a row in `list` for each of `items`, made by `make(item)` and known by `item[id]`. The row of an item
 * that says the same as before stays, and with it the focus and what was opened there.
 */
export function showRows(list, items, id, make) {
  const before = new Map([...list.children].map((row) => [row.dataset.key, row]));
  const after = items.map((item) => rowFor(item, String(item[id]), before, make));
  for (const row of before.values()) if (!after.includes(row)) handOver(row, after);
  after.forEach((row, place) => {
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
}

function rowFor(item, key, before, make) {
  const text = JSON.stringify(item);
  const known = before.get(key);
  if (known && said.get(known) === text) return known;
  const row = make(item);
  row.dataset.key = key;
  said.set(row, text);
  return row;
}

/** Take a row out; what is in its place has open what that had, and the focus if it had it. */
function handOver(row, after) {
  const heir = after.find(({ dataset }) => dataset.key === row.dataset.key);
  const focused = row.contains(document.activeElement) ? document.activeElement : null;
  if (heir && $("details[open]", row)) $("details", heir).open = true;
  if (!heir || !focused) return row.remove();
  row.replaceWith(heir);
  ($(`[data-testid="${focused.dataset.testid}"]`, heir) ?? $("summary, button, a", heir))?.focus();
}
