// A section that loads on its own: what it lacks, or what went wrong, is said in it, and not in the others.

import { $, h, replace } from "./dom.js";
import { explain } from "./failures.js";
import { account, onAccount } from "./whoami.js";

/** What a key may, in words, by the name of the permission. */
export const PERMISSIONS = {
  may_edit: "edit",
  may_read_history: "read the history",
  may_manage: "manage the account",
  may_disable_safety: "turn safety off",
  may_operate: "operate",
};

/**
 * A section with a `.problem` and a `.content`: `{refresh(), attempt(act)}`. `show(found)` fills the content with
 * what `load()` resolves to; if it returns a number, that is done again after so many seconds, where the section
 * is seen then. `permission`: what the key must have. `attempt` resolves as `act()` does, or to undefined if that fails,
 * and the section says why.
 */
export function section(element, { permission, load, show: fill }) {
  const problem = $(".problem", element);
  let turn = 0;
  let timer = null;
  let hasFailed = false;

  async function refresh() {
    const own = ++turn;
    clearTimeout(timer);
    hasFailed = false;
    element.setAttribute("aria-busy", "true");
    const { words, again } = await outcome(permission, async () => {
      const found = await load();
      // Answers may overtake each other: what was asked for last is shown.
      return own === turn ? fill(found) : null;
    });
    if (own !== turn) return;
    element.removeAttribute("aria-busy");
    element.dataset.loaded = "";
    hasFailed = Boolean(words);
    $(".content", element).hidden = hasFailed;
    show(problem, words, retry);
    if (again) timer = setTimeout(() => element.checkVisibility() && refresh(), again * 1000);
  }

  async function retry() {
    await refresh();
    (problem.hidden ? $("h2", element) : $("button", problem))?.focus();
  }

  async function attempt(act) {
    try {
      const done = await act();
      show(problem, null);
      return done ?? null;
    } catch (error) {
      return show(problem, { text: failure(error).text });
    }
  }

  // Whoever was asked for a key and gave one, gave it for all sections.
  onAccount(() => hasFailed && refresh());
  return { refresh, attempt: once(attempt) };
}

/** `act`, which does nothing as long as what it began is under way: a double click is one. */
export function once(act) {
  let isUnderWay = false;
  return async (...given) => {
    if (isUnderWay) return undefined;
    isUnderWay = true;
    return act(...given).finally(() => { isUnderWay = false; });
  };
}

async function outcome(permission, load) {
  try {
    const { key } = await account();
    if (permission && !key[permission]) return { words: refusal(permission) };
    return { again: await load() };
  } catch (error) {
    return { words: failure(error) };
  }
}

function refusal(permission) {
  return { text: `This key may not ${PERMISSIONS[permission]}. Whoever manages the account can make one that may.` };
}

function failure(error) {
  if (error.status === 401) return { text: "This needs a key of the account.", action: "Enter a key" };
  const { title, what, hint } = explain(error);
  return { text: `${title}. ${what} ${hint}`, action: "Try again" };
}

function show(problem, words, retry) {
  problem.hidden = !words;
  replace(problem, words && h("p", {}, words.text), words?.action && button(words.action, retry));
}

function button(name, click) {
  return h("button", { class: "button small", type: "button", on: { click } }, name);
}
