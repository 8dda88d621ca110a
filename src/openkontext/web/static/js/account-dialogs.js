// Questions before what can't be undone, and secrets to be copied.

import { copies } from "./copy.js";
import { answered } from "./dialogs.js";
import { $, h } from "./dom.js";

/** Ask before something is done; resolves to whether it was confirmed. The focus returns to where it was. */
export async function confirmed({ title, text, action, refuse = "Keep it" }) {
  const dialog = $("#confirm");
  $("#confirm-title").textContent = title;
  $("#confirm-text").textContent = text;
  $("[value=yes]", dialog).textContent = action;
  $("[value='']", dialog).textContent = refuse;
  return (await answered(dialog)) === "yes";
}

/** An input that shows a secret, with its button to copy it. */
export function secretField(secret, what, testid) {
  const props = { class: "mono", readonly: true, value: secret, "aria-label": what, dataset: { testid } };
  const input = h("input", props);
  const button = h("button", { class: "button", type: "button" }, "Copy");
  copies(button, () => input.value, input);
  return h("div", { class: "secret" }, input, button);
}
