// Tabs as the ARIA practices have them: one is in the order of Tab, the arrows move between them.

import { $$ } from "./dom.js";

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/**
 * Bring the tabs of a [role=tablist] to life; each names its panel by aria-controls. `onSelect(tab)` hears of each choice.
 * Several tabs may share one panel, which `onSelect` then fills.
 */
export function tabs(list, onSelect) {
  const all = $$("[role=tab]", list);
  const panels = new Set(all.map((tab) => document.getElementById(tab.getAttribute("aria-controls"))));

  function select(chosen, focus = false) {
    for (const tab of all) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
    }
    const shown = document.getElementById(chosen.getAttribute("aria-controls"));
    for (const panel of panels) panel.hidden = panel !== shown;
    shown.setAttribute("aria-labelledby", chosen.id);
    if (focus) chosen.focus();
    onSelect(chosen);
  }

  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) select(tab);
  });
  list.addEventListener("keydown", (event) => {
    const place = all.indexOf(document.activeElement);
    const next = { Home: 0, End: all.length - 1 }[event.key] ?? place + (STEPS[event.key] ?? NaN);
    if (Number.isNaN(next) || place < 0) return;
    event.preventDefault();
    select(all[(next + all.length) % all.length], true);
  });
  select(all.find((tab) => tab.getAttribute("aria-selected") === "true") ?? all[0]);
  return { select };
}
