// The ways in which a picture comes: dropped anywhere, pasted, picked, as a sample, by its address.

import { $, $$ } from "./dom.js";

const EDITABLE = "input:not([type=radio], [type=checkbox], [type=range], [type=file]), textarea, select";

/**
 * Listen for pictures. `take`: `{file(file), address(text), sample(button)}`; a file may be of any kind, the address
 * anything that was typed.
 */
export function listen(take) {
  listenForDrops(take);
  listenForPastes(take);
  const picker = $("[data-testid=file-input]");
  picker.addEventListener("change", () => {
    const [file] = picker.files;
    // Else the same file, picked again, would be no change.
    picker.value = "";
    if (file) take.file(file);
  });
  for (const button of $$(".sample")) button.addEventListener("click", () => take.sample(button));
  listenForAddress(take);
}

function listenForDrops(take) {
  const root = document.documentElement;
  let leaving;
  const hover = (isOver) => {
    clearTimeout(leaving);
    root.classList.toggle("dragging", isOver);
  };
  let isOwn = false;
  document.addEventListener("dragstart", () => { isOwn = true; });
  document.addEventListener("dragend", () => { isOwn = false; });
  document.addEventListener("dragover", (event) => {
    if (isOwn || !hasPicture(event.dataTransfer)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    hover(true);
    // Some ways of leaving the window are told by nothing but silence.
    leaving = setTimeout(() => hover(false), 600);
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) hover(false); });
  document.addEventListener("drop", (event) => {
    hover(false);
    if (isOwn || !hasPicture(event.dataTransfer)) return;
    event.preventDefault();
    takeFrom(event.dataTransfer, take);
  });
}

const hasPicture = ({ types }) => types.includes("Files") || types.includes("text/uri-list");

function takeFrom(transfer, take) {
  const [file] = transfer.files;
  const lines = transfer.getData("text/uri-list").split(/\r?\n/);
  const address = lines.find((line) => line && !line.startsWith("#"));
  if (file) take.file(file);
  else if (address) take.address(address);
}

function listenForPastes(take) {
  document.addEventListener("paste", (event) => {
    if ($("dialog[open]")) return;
    const [file] = event.clipboardData.files;
    const text = event.clipboardData.getData("text/plain").trim();
    const isTyping = document.activeElement?.matches(EDITABLE);
    if (file && !(isTyping && text)) take.file(file);
    else if (!isTyping && isAddress(text)) take.address(text);
    else return;
    event.preventDefault();
  });
}

/** Whether a text is what a picture can be fetched from. */
export const isAddress = (text) => /^(https?:\/\/\S+|data:image\/\S+)$/i.test(text) && URL.canParse(text);

function listenForAddress(take) {
  const [opener, row, input] = [$("#address-open"), $("#address-row"), $("#address")];
  const show = (isShown) => {
    row.hidden = !isShown;
    opener.setAttribute("aria-expanded", String(isShown));
  };
  opener.addEventListener("click", () => {
    show(row.hidden);
    if (!row.hidden) input.focus();
  });
  $("#address-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!take.address(input.value.trim())) return input.focus();
    input.value = "";
    show(false);
    opener.focus();
  });
}
