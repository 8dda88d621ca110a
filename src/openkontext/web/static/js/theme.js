// A classic script in the head, so that the chosen colours are there before the first paint.
(() => {
  const chosen = localStorage.getItem("openkontext-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
