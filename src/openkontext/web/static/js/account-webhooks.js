// The account's webhooks: who is told when requests end.

import { confirmed, secretField } from "./account-dialogs.js";
import { rowButton, showRows } from "./account-rows.js";
import { once, section } from "./account-section.js";
import { api } from "./api.js";
import { $, $$, announce, h, replace, tell } from "./dom.js";
import { when } from "./format.js";

const EVENTS = { "request.completed": "completed", "request.failed": "failed" };

let list = null;

/** The webhooks, with what makes and deletes them. */
export function webhooksSection() {
  list = section($("#webhooks-section"), { permission: "may_manage", load, show });
  const addOne = once(add);
  $("#webhook-form").addEventListener("submit", (event) => {
    event.preventDefault();
    addOne(event.target);
  });
  $("#account-secret").append(secretButton("/v2/webhooks/secret", "The account's secret"));
  return list.refresh;
}

const load = () => api("/v2/webhooks");

function show({ webhooks }) {
  showRows($("ul.webhooks"), webhooks, "id", row);
  $("#webhooks-empty").hidden = webhooks.length > 0;
}

function row(webhook) {
  const { id, url, types, created_at: at } = webhook;
  const events = types.map((type) => EVENTS[type] ?? type).join(" or ");
  return h(
    "li", { class: "webhook", dataset: { testid: "webhook", webhook: id } },
    h("p", {}, h("span", { class: "mono url" }, url),
      h("span", { class: "help" }, `When a request is ${events} · since ${when(at)}`)),
    secretButton(`/v2/webhooks/${id}/secret`, `The secret of ${url}`),
    rowButton("Delete", "webhook-delete", () => remove(webhook), { about: url, danger: true }),
  );
}

/** A button that gives way to the secret at `path`. */
function secretButton(path, what) {
  const place = h("div", { class: "reveal" });
  const reveal = async () => {
    const answer = await list.attempt(() => api(path));
    if (!answer) return;
    replace(place, secretField(answer.secret, what, "webhook-secret"));
    $("input", place).focus();
  };
  place.append(rowButton("Show secret", "webhook-reveal", reveal, { about: `(${what})` }));
  return place;
}

async function add(form) {
  const types = $$("[name=types]:checked", form).map((box) => box.value);
  const input = $("#webhook-url");
  if (!types.length) return refuse("Choose at least one event.");
  try {
    const made = await api("/v2/webhooks", { json: { url: input.value.trim(), types } });
    refuse("");
    form.reset();
    announce("The webhook is added.");
    await list.refresh();
    $(`[data-webhook="${made.id}"] [data-testid=webhook-reveal]`).focus();
  } catch (error) {
    refuse(error.message, input);
  }
}

function refuse(text, input = null) {
  tell($("#webhook-problem"), text);
  $("#webhook-url").setAttribute("aria-invalid", String(Boolean(input)));
  input?.focus();
}

async function remove({ id, url }) {
  const text = `Nothing more is posted to ${url}; what was still to be posted to it is not.`;
  if (!(await confirmed({ title: "Delete this webhook?", text, action: "Delete" }))) return;
  const done = await list.attempt(() => api(`/v2/webhooks/${id}`, { method: "DELETE" }));
  if (done === undefined) return;
  announce("The webhook is deleted.");
  await list.refresh();
  $("#webhooks-title").focus();
}
