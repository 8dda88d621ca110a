// Which edits are shown: in the page's address, for reloads and links; and in the tab, for the way back to the page.

const STORED = "openkontext-shown";
const FRAGMENT = /^#request=([\w,-]+)$/;

/** The ids that the address names, or else those that this tab showed last. */
export function shownBefore() {
  const ids = FRAGMENT.exec(location.hash)?.[1] ?? sessionStorage.getItem(STORED) ?? "";
  return ids.split(",").filter(Boolean);
}

/** Put the ids into the address, none for none. */
export function rememberShown(ids) {
  const fragment = ids.length ? `#request=${ids.join(",")}` : location.pathname + location.search;
  history.replaceState(null, "", fragment);
  sessionStorage.setItem(STORED, ids.join(","));
}

/** Call `onShow(ids)` when another address of this page is followed. */
export function onAddress(onShow) {
  addEventListener("hashchange", () => {
    if (FRAGMENT.test(location.hash)) onShow(shownBefore());
  });
}
