// What the account has.

import { section } from "./account-section.js";
import { $ } from "./dom.js";
import { count, credits, number } from "./format.js";
import { account, onAccount } from "./whoami.js";

/** The balance and what it is good for; it follows every change that this page hears of. */
export function balanceSection() {
  onAccount(show);
  return section($("#balance-section"), { load: account, show }).refresh;
}

function show({ account: name, credits: amount, held, spent_today: spent }) {
  $("#account-name").textContent = name;
  $("#balance-amount").textContent = number(amount);
  $("#balance-held").textContent = credits(held);
  $("#balance-today").textContent = spent === undefined ? "not shown to this key" : credits(spent);
  $("#balance-edits").textContent = edits(amount, Number($(".balance").dataset.price));
}

function edits(amount, price) {
  // 0.12 / 0.04 is a little less than 3.
  return price > 0 ? count(Math.max(0, Math.floor(amount / price + 1e-9)), "edit") : "any number of edits";
}
