// The account page: four parts, each of sections that load on their own once the part is seen.

import { keep, part } from "./account-address.js";
import { balanceSection } from "./account-balance.js";
import { deliveriesSection } from "./account-deliveries.js";
import { keysSection } from "./account-keys.js";
import { ledgerSection } from "./account-ledger.js";
import { requestsSection } from "./account-requests.js";
import { usageSection } from "./account-usage.js";
import { webhooksSection } from "./account-webhooks.js";
import { $, $$ } from "./dom.js";
import { tabs } from "./tabs.js";

const PARTS = {
  overview: [balanceSection(), usageSection(), ledgerSection()],
  requests: [requestsSection()],
  keys: [keysSection()],
  webhooks: [webhooksSection(), deliveriesSection()],
};

// The account's name is above all parts.
const [showBalance] = PARTS.overview;

function show(tab) {
  const name = tab.id.replace("tab-", "");
  if (name !== (part() || "overview")) keep({}, { push: true, named: name });
  for (const refresh of PARTS[name]) refresh();
  if (name !== "overview") showBalance();
}

const named = () => $(`#tab-${Object.hasOwn(PARTS, part()) ? part() : "overview"}`);
const chosen = named();
for (const tab of $$("[role=tab]", $("#account-tabs"))) {
  tab.setAttribute("aria-selected", String(tab === chosen));
}
const { select } = tabs($("#account-tabs"), show);
$("main").dataset.ready = "";
addEventListener("popstate", () => select(named()));
