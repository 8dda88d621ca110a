// Who asks: a key that was typed, kept until the tab is closed; or nobody, where the server lets its own machine in.

import { $, tell } from "./dom.js";

const STORED = "openkontext-key";
let asking = null;

/** The key that was typed in this tab, or "". */
export const key = () => sessionStorage.getItem(STORED) ?? "";

/** Whether the server lets this page in without a key. */
export const needsNoKey = () => "session" in document.documentElement.dataset;

/** Forget the key, and with it all that this tab keeps: the picture's address is as good as a key to the picture. */
export function signOut() {
  sessionStorage.clear();
  // Once more at the very end: an upload that is done meanwhile would be kept.
  addEventListener("pagehide", () => sessionStorage.clear());
  // Not a reload: that would name the same request again, and keep what is written in forms.
  location.replace(location.pathname);
}

/** A wrong key is of no more use; a missing one isn't there. */
export function keyWasRefused(code) {
  if (code === "invalid_key") sessionStorage.removeItem(STORED);
}

/**
 * Ask for a key, once for all who ask at the same time; resolves to whether one was given.
 * `problem`: why, with `code` and `message`; `reason`: a sentence in place of the usual one.
 */
export function askForKey(problem, { reason } = {}) {
  asking ??= ask(problem, reason).finally(() => { asking = null; });
  return asking;
}

function ask(problem, reason) {
  const dialog = $("#key-dialog");
  const form = $("form", dialog);
  const input = $("#key-input");
  if (reason) $("#key-reason").textContent = reason;
  tell($("#key-error"), inWords(problem));
  input.setAttribute("aria-invalid", String(!$("#key-error").hidden));
  input.value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(STORED, input.value.trim());
      dialog.close("given");
    };
    $("[value=cancel]", form).onclick = () => dialog.close("");
    dialog.onclose = () => resolve(dialog.returnValue === "given");
    // Escape keeps the last value otherwise.
    dialog.oncancel = () => { dialog.returnValue = ""; };
  });
}

function inWords(problem) {
  if (!problem || problem.code === "missing_key") return "";
  return problem.code === "invalid_key" ? "This key is wrong, expired or revoked." : problem.message;
}
