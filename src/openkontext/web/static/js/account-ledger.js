// The account's books, newest first; older pages come behind those that are shown.

import { firstOf, onMore, requestLink, share, showRows } from "./account-rows.js";
import { section } from "./account-section.js";
import { $, h } from "./dom.js";
import { number, when } from "./format.js";

const KINDS = { grant: "Granted", hold: "Held", take: "Charged", release: "Given back" };
const PER_PAGE = 20;

/** The ledger; its "Older" shows a page more. */
export function ledgerSection() {
  let shown = PER_PAGE;
  const load = () => firstOf("/v2/account/ledger", "entries", shown);
  const { refresh } = section($("#ledger-section"), { permission: "may_read_history", load, show });
  onMore("ledger", () => {
    shown += PER_PAGE;
    return refresh();
  });
  return refresh;
}

function show({ found, total }) {
  showRows($("#ledger-section tbody"), found, "id", row);
  $("#ledger-empty").hidden = total > 0;
  $("#ledger-more").hidden = found.length >= total;
  $("#ledger-count").textContent = share(found.length, total);
}

function row({ kind, amount, balance, request_id: id, created_at: at }) {
  return h(
    "tr", {},
    h("td", {}, h("time", { datetime: at }, when(at))),
    h("td", {}, KINDS[kind]),
    h("td", {}, id && requestLink(id)),
    h("td", { class: "number" }, change(kind, amount)),
    h("td", { class: "number" }, number(balance)),
  );
}

function change(kind, amount) {
  if (kind === "take") return h("span", { class: "muted" }, "as held");
  const [sign, kindOfSum] = amount > 0 ? ["+", "plus"] : ["−", "minus"];
  return h("span", { class: kindOfSum }, sign + number(Math.abs(amount)));
}
