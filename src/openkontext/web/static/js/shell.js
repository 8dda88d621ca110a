// What every page has: the credits, the key to be forgotten, the colours.

import { $, announce } from "./dom.js";
import { credits } from "./format.js";
import { key, signOut } from "./session.js";
import { onAccount } from "./whoami.js";

const THEME = "openkontext-theme";

function showAccount(body) {
  const link = $("[data-testid=credits]");
  link.textContent = credits(body.credits);
  link.title = `Balance of the account ${body.account}`;
  link.hidden = false;
  showKey();
}

function showKey() {
  $("#sign-out").hidden = !key();
}

const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

function showTheme() {
  $("#theme").setAttribute("aria-pressed", String(isDark()));
}

function switchTheme() {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem(THEME, next);
  showTheme();
  announce(`${next === "dark" ? "Dark" : "Light"} colours`);
}

$("#theme").addEventListener("click", switchTheme);
$("#sign-out").addEventListener("click", signOut);
onAccount(showAccount);
showKey();
showTheme();
