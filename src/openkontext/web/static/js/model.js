// The model page: the code of the edit that the playground is set to.

import { codePanel } from "./code-panel.js";
import { $ } from "./dom.js";
import { short } from "./format.js";
import { loadValues } from "./values.js";

const about = $("#code-edit");
const picture = $("#code-picture");
const example = { text: about.textContent, prompt: about.dataset.prompt, fileName: about.dataset.picture };
const samples = picture.dataset.samples.split(" ").map((name) => `${name}.webp`);

/** The playground's values; before there are any, the example's. */
function values() {
  const known = loadValues();
  const prompt = known.prompt?.trim();
  const fileName = (prompt && known.file_name) || example.fileName;
  about.textContent = prompt ? `What the playground is set to: “${short(prompt)}”.` : example.text;
  offer(fileName);
  return { ...known, prompt: prompt ? known.prompt : example.prompt, file_name: fileName };
}

/** A sample can be had here; anything else is on the reader's disk. */
function offer(name) {
  const link = $("a", picture);
  picture.hidden = !samples.includes(name);
  link.textContent = link.download = name;
  link.href = link.href.replace(/[^/]*$/, name);
}

codePanel($("#code-panel"), values);
