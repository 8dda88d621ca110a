// Questions in dialogs.

/** Show a dialog with a form; resolves to the value of the button that closed it, "" after Escape. */
export function answered(dialog) {
  // The event comes some time after the closing: the question before may wait for it still.
  dialog.dispatchEvent(new Event("close"));
  // What Escape leaves behind would be the last answer.
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const listening = new AbortController();
    const closed = () => {
      // That was for the question before.
      if (dialog.open) return;
      listening.abort();
      resolve(dialog.returnValue);
    };
    dialog.addEventListener("close", closed, { signal: listening.signal });
  });
}
