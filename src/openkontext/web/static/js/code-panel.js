// The edit as code: a tab for each language, a choice of how to get the result, and what to copy.

import { copies } from "./copy.js";
import { $, $$, h, replace, ROOT, tell } from "./dom.js";
import { highlight } from "./highlight.js";
import { LANGUAGES, VARIANTS, WEBHOOK_URL, noteOn, receiver, snippet } from "./snippets.js";
import { tabs } from "./tabs.js";

// What was chosen last; no address, which may be a secret.
const STORED = "openkontext-code";
const KEYS = {
  webhook: "Your key is read from OPENKONTEXT_API_KEY, the webhook secret from OPENKONTEXT_WEBHOOK_SECRET.",
  others: "Your key is read from OPENKONTEXT_API_KEY.",
};

/**
 * Fill `container` with the code of the edit that `getValues()` describes (as `loadValues`); it follows
 * `openkontext:values` of the document. Returns a function that shows the code anew.
 */
export function codePanel(container, getValues) {
  const chosen = { language: LANGUAGES[0].id, variant: VARIANTS[0].id, ...remembered() };
  container.classList.add("code-panel");
  replace(container, languageTabs(chosen), panel(chosen));
  const show = () => showCode(container, chosen, getValues());
  const choose = (part) => {
    Object.assign(chosen, part);
    localStorage.setItem(STORED, JSON.stringify(chosen));
    show();
  };
  tabs($("[role=tablist]", container), (tab) => {
    // On a phone the row is wider than the screen.
    tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.clientWidth / 3;
    choose({ language: tab.dataset.language });
  });
  $(".variants", container).addEventListener("change", ({ target }) => choose({ variant: target.value }));
  $("#code-webhook", container).addEventListener("input", show);
  for (const figure of $$("figure", container)) {
    copies($("button", figure), () => $("code", figure).textContent, $("code", figure));
  }
  document.addEventListener("openkontext:values", show);
  return show;
}

function remembered() {
  try {
    const { language, variant } = JSON.parse(localStorage.getItem(STORED));
    return LANGUAGES.some((each) => each.id === language) && VARIANTS.some((each) => each.id === variant)
      ? { language, variant } : {};
  } catch {
    return {};
  }
}

function languageTabs(chosen) {
  return h("div", { role: "tablist", "aria-label": "Language" }, LANGUAGES.map(({ id, name }) => h("button", {
    role: "tab", type: "button", id: `language-${id}`, "aria-controls": "code-tabpanel",
    "aria-selected": String(id === chosen.language), dataset: { testid: `language-${id}`, language: id },
  }, name)));
}

function panel(chosen) {
  return h("div", { role: "tabpanel", id: "code-tabpanel", class: "stack" },
    h("div", { class: "spread" },
      h("fieldset", { class: "variants" },
        h("legend", { class: "visually-hidden" }, "How to get the result"),
        VARIANTS.map(({ id, name }) => h("label", null, variantRadio(id, chosen), h("span", null, name)))),
      h("p", { class: "help", id: "code-when" })),
    webhookField(),
    h("p", { class: "notice", id: "code-note", hidden: true }),
    figure("code", "snippet", "copy"),
    figure("receiver", "receiver", "copy-receiver"),
    h("p", { class: "help", id: "code-key" }));
}

function variantRadio(id, chosen) {
  const checked = id === chosen.variant;
  const dataset = { testid: `variant-${id}` };
  return h("input", { type: "radio", name: "variant", value: id, checked, dataset });
}

function webhookField() {
  return h("div", { class: "field", id: "code-webhook-field", hidden: true },
    h("label", { for: "code-webhook" }, "Address to be told at"),
    h("input", {
      id: "code-webhook", type: "url", class: "mono", placeholder: WEBHOOK_URL, spellcheck: "false",
      autocomplete: "off", "aria-describedby": "code-webhook-error", dataset: { testid: "webhook-url" },
    }),
    h("p", { class: "error", id: "code-webhook-error", role: "alert", hidden: true }));
}

function figure(id, testid, copy) {
  const label = id === "code" ? "Code" : "Receiver";
  return h("figure", { id: `code-${id}` },
    h("figcaption", { class: "spread" },
      h("span", { class: "small muted" }),
      h("button", { class: "button small", type: "button", dataset: { testid: copy } }, "Copy")),
    // Wider than its place more often than not: the keyboard scrolls it too.
    h("pre", { class: "code", tabindex: "0", role: "group", "aria-label": label },
      h("code", { dataset: { testid } })));
}

function showCode(container, { language, variant }, values) {
  const { syntax, needs, file, run } = LANGUAGES.find((each) => each.id === language);
  const isWebhook = variant === "webhook";
  const webhookUrl = isWebhook ? readWebhook(container) : "";
  const baseUrl = location.origin + ROOT;
  const code = snippet(language, variant, values, { baseUrl, webhookUrl });
  const receiving = isWebhook && code ? receiver(language, values, { webhookUrl }) : null;
  $("#code-when", container).textContent = VARIANTS.find((each) => each.id === variant).when;
  $("#code-webhook-field", container).hidden = !isWebhook || !code;
  showNote($("#code-note", container), code ? "" : noteOn(language));
  showFigure($("#code-code", container), code, syntax, [file, needs, run].filter(Boolean).join(" · "));
  showFigure($("#code-receiver", container), receiving, syntax, "The receiver, at your address");
  tell($("#code-key", container), code ? KEYS[isWebhook ? "webhook" : "others"] : "");
}

function showNote(node, text) {
  tell(node, text);
  const href = `${ROOT}/account#webhooks`;
  if (text) node.append(" ", h("a", { href }, "Add one"));
}

function showFigure(node, text, syntax, caption) {
  node.hidden = !text;
  if (!text) return;
  $("figcaption span", node).textContent = caption;
  replace($("code", node), highlight(text, syntax));
}

/** The address that was typed, or "" while it is none. */
function readWebhook(container) {
  const input = $("#code-webhook", container);
  const typed = input.value.trim();
  const isAddress = /^https?:$/.test(URL.parse(typed)?.protocol);
  const problem = typed && !isAddress ? "Write a whole address, such as https://example.com/hooks/edits" : "";
  input.setAttribute("aria-invalid", String(Boolean(problem)));
  tell($("#code-webhook-error", container), problem);
  return isAddress ? typed : "";
}
