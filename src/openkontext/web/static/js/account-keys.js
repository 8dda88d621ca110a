// The account's keys.

import { keyDialog } from "./account-key-dialog.js";
import { confirmed } from "./account-dialogs.js";
import { cell, note, rowButton, share, showRows } from "./account-rows.js";
import { PERMISSIONS, section } from "./account-section.js";
import { api } from "./api.js";
import { $, announce, h } from "./dom.js";
import { ago, number, when } from "./format.js";
import { account } from "./whoami.js";

let list = null;

/** The table of keys, with what makes and revokes them. */
export function keysSection() {
  list = section($("#keys-section"), { permission: "may_manage", load, show });
  const openDialog = keyDialog(list.refresh);
  $("#key-create").addEventListener("click", async () => openDialog((await account()).key));
  return list.refresh;
}

const load = () => Promise.all([api("/v2/account/keys"), account()]);

function show([{ keys, total }, { key: own }]) {
  // Good ones come first: only revoked and expired ones can be more.
  $("#keys-count").textContent = keys.length < total ? share(keys.length, total) : "";
  showRows($("#keys-section tbody"), keys, "id", (key) => row(key, key.id === own.id));
  $("#key-create").disabled = false;
}

function row(key, isOwn) {
  const state = stateOf(key);
  return h(
    "tr", { dataset: { testid: "key", state: state.name } },
    h("th", { scope: "row" }, title(key), isOwn && h("span", { class: "badge" }, "in use here")),
    cell("It may", permissions(key)),
    cell("Limits", limits(key)),
    cell("Created", h("time", { datetime: key.created_at }, when(key.created_at))),
    cell("State", h("span", { class: "badge", dataset: { state: state.name } }, state.name), state.note),
    h("td", {}, state.name === "active" && !isOwn && button(key)),
  );
}

function title({ label, hint }) {
  const name = h("span", { class: label ? "name" : "name muted" }, label || "no label");
  return [name, h("span", { class: "mono muted" }, `SG_…${hint}`)];
}

function permissions(key) {
  const names = Object.keys(PERMISSIONS).filter((name) => key[name]);
  return names.map((name) => PERMISSIONS[name]).join(", ") || "nothing";
}

function limits({ rpm, max_running: running, max_queued: queued, retention }) {
  const words = [
    rpm && `${number(rpm)} a minute`,
    running && `${number(running)} running`,
    queued && `${number(queued)} waiting`,
    retention === 0 && "delivered once",
  ];
  return words.filter(Boolean).join(", ") || "none";
}

function stateOf({ revoked_at: revoked, expires_at: expires }) {
  if (revoked) return { name: "revoked", note: note(ago(revoked)) };
  if (!expires) return { name: "active" };
  return Date.parse(expires) <= Date.now()
    ? { name: "expired", note: note(ago(expires)) }
    : { name: "active", note: note(`expires ${ago(expires)}`) };
}

const button = (key) =>
  rowButton("Revoke", "key-revoke", () => revoke(key), { about: nameOf(key), danger: true });

const nameOf = ({ label, hint }) => (label ? `“${label}” (…${hint})` : `SG_…${hint}`);

async function revoke(key) {
  const text = "What uses it is refused from now on. Requests that it has submitted go on.";
  if (!(await confirmed({ title: `Revoke ${nameOf(key)}?`, text, action: "Revoke" }))) return;
  const done = await list.attempt(() => api(`/v2/account/keys/${key.id}`, { method: "DELETE" }));
  if (done === undefined) return;
  announce(`${nameOf(key)} is revoked.`);
  await list.refresh();
  $("#keys-title").focus();
}
