// Making a key: what it may, and then, once, the key itself.

import { once } from "./account-section.js";
import { api } from "./api.js";
import { copies } from "./copy.js";
import { $, $$, tell } from "./dom.js";
import { number } from "./format.js";

const LIMITS = ["rpm", "max_running", "max_queued"];
const DAY = 86_400_000;

/** What opens the dialog, called with the key (of GET /v2/account) that makes the other; then `onMade` is. */
export function keyDialog(onMade) {
  const dialog = $("#key-new");
  const form = $("#key-form");
  const secret = $("[data-testid=new-key]");
  const makeOne = once(make);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    makeOne(form, secret, onMade);
  });
  $("[value=cancel]", form).addEventListener("click", () => dialog.close());
  copies($("[data-testid=key-copy]"), () => secret.value, secret);
  $("[data-testid=key-done]").addEventListener("click", () => dialog.close());
  // What can't be shown again isn't lost by a key pressed too often.
  dialog.addEventListener("cancel", (event) => secret.value && event.preventDefault());
  dialog.addEventListener("close", () => { secret.value = ""; });
  return (by) => {
    begin(form, by);
    dialog.showModal();
    $("#key-label").focus();
  };
}

/** Offer what the key `by` can give, and no more. */
function begin(form, by) {
  form.reset();
  turn(true);
  tell($("#key-problem"), "");
  for (const box of $$(".permissions input", form)) {
    box.disabled = !by[box.name];
    box.checked &&= by[box.name];
  }
  for (const name of LIMITS) limit(form.elements[name], by[name]);
  const once = form.elements.once;
  once.checked = once.disabled = by.retention === 0;
  const longest = by.expires_at ? Date.parse(by.expires_at) - Date.now() : Infinity;
  for (const option of form.elements.expiry.options) option.disabled = Number(option.value) * DAY > longest;
  form.elements.expiry.options[0].textContent = by.expires_at ? "With the key in use here" : "Never";
}

function limit(input, own) {
  input.max = own ?? 999_999_999;
  input.required = own !== null;
  input.placeholder = own === null ? "no limit" : "";
  if (own !== null) input.value = Math.min(input.value || own, own);
}

async function make(form, secret, onMade) {
  const wrong = LIMITS.map((name) => form.elements[name]).find((input) => !input.checkValidity());
  if (wrong) return refuse(bounds(wrong), wrong);
  try {
    const made = await api("/v2/account/keys", { json: chosen(form) });
    secret.value = made.key;
    turn(false);
    $("#key-made-title").focus();
    onMade();
  } catch (error) {
    refuse(error.message);
  }
}

function bounds({ labels, max, required }) {
  const numbers = `a whole number from 1 to ${number(Number(max))}`;
  return `“${labels[0].textContent}” must be ${numbers}${required ? "" : ", or empty"}.`;
}

function chosen({ elements }) {
  const given = (input) => (input.value ? Number(input.value) : null);
  const permissions = $$(".permissions input").map((box) => [box.name, box.checked]);
  const days = Number(elements.expiry.value);
  return {
    label: elements.label.value.trim(),
    ...Object.fromEntries(permissions),
    ...Object.fromEntries(LIMITS.map((name) => [name, given(elements[name])])),
    ...(days && { expires_at: new Date(Date.now() + days * DAY).toISOString() }),
    ...(elements.once.checked && { retention: 0 }),
  };
}

function refuse(text, input = null) {
  tell($("#key-problem"), text);
  input?.focus();
}

function turn(isForm) {
  $("#key-form").hidden = !isForm;
  $("#key-made").hidden = isForm;
}
