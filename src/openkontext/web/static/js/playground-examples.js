// Examples of what to ask for: those of the chosen sample; for another picture those of the sample before.

import { $, $$, h, replace } from "./dom.js";

/** Bring the examples to life; `onChoose(prompt)` hears of each that is taken. */
export function listenForExamples(onChoose) {
  $("#examples").addEventListener("click", ({ target }) => {
    const chip = target.closest(".chip");
    if (chip) onChoose(chip.textContent);
  });
}

/** Show those that suit the picture (as `Input` has it, null for none). */
export function showExamples(picture) {
  const button = $$(".sample").find((each) => each.dataset.sample === picture?.sample);
  const list = $("#examples");
  if (!button || list.dataset.of === picture.sample) return;
  list.dataset.of = picture.sample;
  replace(list, JSON.parse(button.dataset.prompts).map(chip));
}

function chip(prompt) {
  return h("button", { type: "button", class: "chip", dataset: { testid: "prompt-example" } }, prompt);
}
