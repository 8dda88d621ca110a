// The log of deliveries: what was posted to webhooks, and what became of it.

import { cell, firstOf, note, onMore, requestLink, rowButton, share, showRows } from "./account-rows.js";
import { section } from "./account-section.js";
import { api } from "./api.js";
import { $, announce, h } from "./dom.js";
import { ago, count, when } from "./format.js";

const PER_PAGE = 20;
const LOOK_AGAIN = 2;
// Milliseconds: what is due that soon is waited for.
const SOON = 30_000;
const EVENTS = { "request.completed": "Completed", "request.failed": "Failed" };

let log = null;

/** The log; its "Older" shows more of it. */
export function deliveriesSection() {
  let shown = PER_PAGE;
  const load = () => firstOf("/v2/webhooks/deliveries", "deliveries", shown);
  log = section($("#deliveries-section"), { permission: "may_manage", load, show });
  onMore("deliveries", () => {
    shown += PER_PAGE;
    return log.refresh();
  });
  return log.refresh;
}

function show({ found, total }) {
  showRows($("#deliveries-section tbody"), found, "id", row);
  $("#deliveries-empty").hidden = total > 0;
  $("#deliveries-more").hidden = found.length >= total;
  $("#deliveries-count").textContent = share(found.length, total);
  return found.some((each) => isUnderWay(each) || isDueSoon(each)) ? LOOK_AGAIN : null;
}

// An attempt that began and has no answer yet; its `next_at` is when another would begin if none came.
const isUnderWay = ({ state, attempts: made, last_status: status, last_error: error }) =>
  state === "pending" && made > 0 && !status && !error;

const isDueSoon = ({ next_at: next }) => next && Date.parse(next) < Date.now() + SOON;

function row(delivery) {
  const { id, request_id: request, type, url, state, created_at: at } = delivery;
  const about = `${request.slice(0, 8)} to ${url}`;
  return h(
    "tr", { dataset: { testid: "delivery", delivery: id, state } },
    cell("When", h("time", { datetime: at }, when(at))),
    cell("What", EVENTS[type] ?? type, " ", requestLink(request)),
    cell("To", h("span", { class: "mono url" }, url)),
    cell("State", h("span", { class: "badge", dataset: { state } }, state), note(attempts(delivery))),
    cell("Last answer", answer(delivery)),
    h("td", {}, rowButton("Redeliver", "redeliver", () => redeliver(delivery), { about })),
  );
}

function attempts(delivery) {
  const { attempts: made, next_at: next } = delivery;
  const tried = count(made, "attempt");
  if (isUnderWay(delivery)) return `${tried}, the last is under way`;
  if (!next) return tried;
  return `${tried}, next ${Date.parse(next) > Date.now() ? ago(next) : "at once"}`;
}

function answer({ last_status: status, last_error: error, last_at: at }) {
  if (!at || !(status || error)) return "none yet";
  return [status && h("span", { class: "mono" }, status), error && h("span", {}, error), note(ago(at))];
}

async function redeliver({ id }) {
  const path = `/v2/webhooks/deliveries/${id}/redeliver`;
  if (!(await log.attempt(() => api(path, { method: "POST" })))) return;
  announce("It is posted once more.");
  await log.refresh();
}
