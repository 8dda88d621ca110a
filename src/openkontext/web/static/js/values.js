// What the playground is set to, so that its snippets can follow; kept until the tab is closed.

const STORED = "openkontext-values";

/** The values by parameter name, and `file_name` of the picture; {} before there are any. */
export function loadValues() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED)) ?? {};
  } catch {
    return {};
  }
}

/** Keep them, and tell those on this page who show them (event `openkontext:values` of document). */
export function saveValues(values) {
  sessionStorage.setItem(STORED, JSON.stringify(values));
  document.dispatchEvent(new CustomEvent("openkontext:values", { detail: values }));
}
