// Runs before the first paint, so that a dark page never flashes white: a classic script.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function stored() {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage is forbidden here: the system decides
    }
  }

  function paint() {
    const chosen = stored();
    const systems = dark.matches ? "dark" : "light";
    document.documentElement.dataset.theme = ["light", "dark"].includes(chosen) ? chosen : systems;
  }

  dark.addEventListener("change", paint);
  document.addEventListener("themechange", paint);
  paint();
})();
