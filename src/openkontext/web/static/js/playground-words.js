// What the server says, as the page says it.

import { sentence } from "./format.js";

/** The sentences of a 400 by the parameter of `names` that each is about; at "" what is about none. */
export function problemsByName(message, names) {
  const found = {};
  let name = "";
  for (const part of message.split("; ")) {
    const [word] = part.split(" ", 1);
    // A sentence may have a semicolon of its own: what follows it begins with no name.
    if (names.includes(word)) name = word;
    found[name] = found[name] ? `${found[name]}; ${part}` : part;
  }
  return found;
}

/** Why an edit wasn't taken in, for the place above Run. */
export function refusal({ code, message }) {
  if (code === "missing_key" || code === "invalid_key") return "A key is needed to run an edit.";
  return sentence(message);
}
