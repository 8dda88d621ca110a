// Numbers, times and texts for people.

const LOCALE = "en-GB";
const numbers = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 3 });
const relative = new Intl.RelativeTimeFormat(LOCALE, { numeric: "auto" });
const moments = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short" });
const days = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", timeZone: "UTC" });

/** `12.5 credits`. */
export const credits = (amount) => `${numbers.format(amount)} ${amount === 1 ? "credit" : "credits"}`;

/** A number with separators, at most three decimals. */
export const number = (value) => numbers.format(value);

/** Seconds in words: `0.42 s`, `3.1 s`, `48 s`, `2 min 5 s`, `3 h 20 min`. */
export function seconds(value) {
  if (value < 1) return `${Number(value.toPrecision(2))} s`;
  if (value < 10) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return joined(Math.floor(whole / 60), "min", whole % 60, "s");
  const minutes = Math.round(whole / 60);
  return joined(Math.floor(minutes / 60), "h", minutes % 60, "min");
}

/** Bytes: `812 B`, `41 kB`, `1.3 MB`. */
export function bytes(size) {
  if (size < 1000) return `${size} B`;
  return size < 1e6 ? `${Math.round(size / 1e3)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}

/** How long ago, or until, a time in ISO 8601 is: `3 minutes ago`, `in 2 days`. */
export function ago(iso) {
  const away = (Date.parse(iso) - Date.now()) / 1000;
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
  const [unit, size] = units.find(([, size]) => Math.abs(away) >= size) ?? ["second", 1];
  return Math.abs(away) < 10 ? "just now" : relative.format(Math.trunc(away / size), unit);
}

/** A time in ISO 8601 as date and time of the reader's zone. */
export const when = (iso) => moments.format(new Date(iso));

/** A day (YYYY-MM-DD) as `22 Nov`. */
export const day = (iso) => days.format(new Date(iso));

/** `1 edit`, `3 edits`. */
export const count = (amount, noun) => `${numbers.format(amount)} ${noun}${amount === 1 ? "" : "s"}`;

/** A text, cut where it is long. */
export const short = (text, most = 90) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** A message of the server as a sentence: a capital first, a full stop last. */
export function sentence(message) {
  if (!message) return "";
  return `${message[0].toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? "" : "."}`;
}

const joined = (large, unit, small, smaller) => `${large} ${unit}${small ? ` ${small} ${smaller}` : ""}`;
