// The history of requests: filtered, paged, replayed, erased.

import { keep, setting } from "./account-address.js";
import { confirmed } from "./account-dialogs.js";
import { requestRow } from "./account-request.js";
import { inPlayground, showRows } from "./account-rows.js";
import { section } from "./account-section.js";
import { api } from "./api.js";
import { $, announce, h, replace } from "./dom.js";
import { count, short, when } from "./format.js";
import { account, refreshAccount } from "./whoami.js";

const PER_PAGE = 20;
const LOOK_AGAIN = 2;
const PAUSE = 300;
const FILTERS = ["q", "status", "code", "from", "to"];

let list = null;

/** The history; what is asked of it is in the address. */
export function requestsSection() {
  list = section($("#requests-section"), { permission: "may_read_history", load, show });
  const form = $("#filters");
  let timer = null;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(filter, PAUSE);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });
  // The fields are empty only after this event.
  form.addEventListener("reset", () => setTimeout(filter));
  $("[data-testid=page-previous]").addEventListener("click", () => turnPage(-1));
  $("[data-testid=page-next]").addEventListener("click", () => turnPage(1));
  return () => {
    for (const name of FILTERS) form.elements[name].value = setting(name);
    return list.refresh();
  };
}

const page = () => Math.max(1, Number.parseInt(setting("page"), 10) || 1);

async function filter() {
  const { elements } = $("#filters");
  keep({ ...Object.fromEntries(FILTERS.map((name) => [name, elements[name].value.trim()])), page: "" });
  await list.refresh();
  announce($("#requests-count").textContent);
}

async function turnPage(by) {
  const next = page() + by;
  keep({ page: next > 1 ? String(next) : "" }, { push: true });
  await list.refresh();
  $("#requests-count").focus();
}

function load() {
  const query = new URLSearchParams({ page: page(), per_page: PER_PAGE });
  for (const name of FILTERS) if (setting(name)) query.set(name, setting(name));
  return Promise.all([api(`/v2/requests?${query}`), account()]);
}

function show([{ requests, total }, { key }]) {
  const actions = key.may_edit ? { replay, remove } : null;
  showRows($("ol.requests"), requests, "request_id", (entry) => requestRow(entry, actions));
  const pages = Math.ceil(total / PER_PAGE);
  const isFiltered = FILTERS.some(setting);
  $("#requests-count").textContent = total ? `${count(total, "request")}${isFiltered ? " found" : ""}` : "";
  const empty = $("#requests-empty");
  empty.hidden = requests.length > 0;
  empty.textContent = nothing(isFiltered, total);
  $("#requests-pager").hidden = pages < 2 && page() === 1;
  $("#requests-page").textContent = `Page ${page()} of ${Math.max(1, pages)}`;
  $("[data-testid=page-previous]").disabled = page() === 1;
  $("[data-testid=page-next]").disabled = page() >= pages;
  return requests.some(({ ended_at: ended }) => !ended) ? LOOK_AGAIN : null;
}

function nothing(isFiltered, total) {
  if (total) return "There is nothing on this page.";
  if (isFiltered) return "No request is like that. Take a filter away.";
  return "No requests yet. The playground makes them.";
}

async function replay({ request_id: id }) {
  const accepted = await list.attempt(() => api(`/v2/requests/${id}/replay`, { method: "POST" }));
  if (!accepted) return;
  const href = inPlayground(accepted.request_id);
  const link = h("a", { href, dataset: { testid: "replayed" } }, "Watch it in the playground");
  replace($("#requests-news"), "Submitted again, as a new request. ", link);
  $("#requests-news").hidden = false;
  announce("Submitted again, as a new request.");
  refreshAccount().catch(() => {});
  await list.refresh();
}

async function remove(entry) {
  const { request_id: id, ended_at: ended } = entry;
  if (!(await confirmed(ended ? erasure(entry) : cancellation(entry)))) return;
  const done = await list.attempt(() => api(`/v2/requests/${id}`, { method: "DELETE" }));
  if (done === undefined) return;
  announce(ended ? "Erased." : "It is being cancelled.");
  refreshAccount().catch(() => {});
  await list.refresh();
  ($(`[data-request="${id}"] summary`) ?? $("#requests-count")).focus();
}

function erasure(entry) {
  const what = `${nameOf(entry)} of ${when(entry.created_at)}`;
  const text = `${what}: its pictures are erased at once, here and in the playground, and can't be had back.`;
  return { title: "Erase this request?", text, action: "Erase" };
}

function cancellation(entry) {
  const text = `${nameOf(entry)} ends without a picture, and nothing is charged.`;
  return { title: "Cancel this request?", text, action: "Cancel it", refuse: "Let it run" };
}

function nameOf({ parameters: { prompt = "" } }) {
  if (!prompt) return "The request";
  return `“${short(prompt)}”`;
}
