// A classic script in the head: where an edit will be shown again, there is room for it from the first paint on.
(() => {
  const isShown = location.hash.startsWith("#request=") || sessionStorage.getItem("openkontext-shown");
  if (isShown) document.documentElement.dataset.shown = "";
})();
