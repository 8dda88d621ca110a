// A button that copies a text, and says so.

import { announce } from "./dom.js";

const TOLD_MS = 2000;

/** Have `button` copy what `text()` gives; `node` shows it, and is selected where the browser forbids that. */
export function copies(button, text, node) {
  const label = button.textContent;
  let timer;
  button.addEventListener("click", async () => {
    const told = (await copied(text(), node)) ? "Copied" : "Press Ctrl+C";
    button.textContent = told;
    announce(told);
    clearTimeout(timer);
    timer = setTimeout(() => { button.textContent = label; }, TOLD_MS);
  });
}

async function copied(text, node) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    select(node);
    // A page that came over plain HTTP from another machine has no other clipboard.
    return document.execCommand("copy");
  }
}

function select(node) {
  if (node instanceof HTMLInputElement) node.select();
  else getSelection().selectAllChildren(node);
}
