// What the page shows is in its address, so that a reload or a link shows the same: the part is the fragment,
// the filters are the query.

/** The part that is named, "" for none. */
export const part = () => location.hash.slice(1);

/** The setting of this name, "" where there is none. */
export const setting = (name) => new URLSearchParams(location.search).get(name) ?? "";

/** Put settings into the address ("" takes one out); with `push` the way back leads to those before. */
export function keep(settings, { push = false, named = part() } = {}) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(settings)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const address = location.pathname + (query.size ? `?${query}` : "") + (named ? `#${named}` : "");
  if (push) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}
