// Questions in dialogs.

/** Show a dialog with a form; resolves to the value of the button that closed it, "" after Escape. */
export function answered(dialog) {
  // What Escape leaves behind would be the last answer.
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
  });
}
