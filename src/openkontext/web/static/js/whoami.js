// The account behind the key, read once and shown by whoever wants to.

import { api } from "./api.js";

const watchers = new Set();
let known = null;

/** The body of GET /v2/account, read once. Rejects with `ApiError`. */
export function account() {
  known ??= refreshAccount();
  return known;
}

/** Read it anew, and tell all who watch. */
export function refreshAccount() {
  known = api("/v2/account");
  known.then((body) => watchers.forEach((watcher) => watcher(body)), () => { known = null; });
  return known;
}

/** Call `watcher` with the account now, if it is known, and after every change. */
export function onAccount(watcher) {
  watchers.add(watcher);
  known?.then(watcher, () => {});
}
