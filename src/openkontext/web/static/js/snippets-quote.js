// Texts as literals: whatever somebody types, a snippet says it, and does nothing else.

// What can't be seen, or turns the reading direction, and what Go's compiler refuses.
const UNSEEN = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const PLAIN = /^[\w@%+=:,./-]+$/;

/** A string of Python, JavaScript, TypeScript and Go: they share JSON's escapes. */
export function quote(text) {
  const escaped = (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(text.toWellFormed()).replace(UNSEEN, escaped);
}

/** A word of a POSIX shell. */
export function shellQuote(text) {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** The content type of a picture's file, by its name. */
export function typeOf(file) {
  const suffix = file.toLowerCase().match(/\.(jpe?g|png|gif|webp)$/)?.[1] ?? "png";
  return `image/${suffix === "jpg" ? "jpeg" : suffix}`;
}

/** The address of a submit that names a webhook. */
export function withWebhook(url, webhookUrl) {
  return `${url}?webhook=${encodeURIComponent(webhookUrl)}`;
}
