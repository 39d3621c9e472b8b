// Views by hash, the keys that close a view, and the switch between dark and light.
const main = document.getElementById("view");
let lastCell = null, lastMetric = "verdict";

function parts() {
  try {
    return location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  } catch {
    return [""];
  }
}

function view() {
  const [name, first, second, third] = parts();
  if (name === "cell") {
    const cell = cellsOf(first, second).find((one) => String(one.seed) === third) || cellsOf(first, second)[0];
    if (cell) return { element: cellView(cell), title: `${titleOf(DATA.incidents, first)}, ${titleOf(DATA.shapes, second)}`, opened: [first, second] };
  }
  if (name === "incident") {
    const incident = byId(DATA.incidents, first);
    if (incident) return { element: incidentView(incident, Number(second) || DATA.seeds[0], third === "fault"), title: incident.title, opened: [first] };
  }
  if (name === "claims") return { element: claims(), title: "Claims", opened: [] };
  if (name === "metric" && METRICS.some(([id]) => id === first)) lastMetric = first;
  return { element: overview(lastMetric), title: "", opened: null };
}

function show(moveFocus = true) {
  const { element, title, opened } = view();
  const chosen = !moveFocus && document.activeElement && document.activeElement.name === "metric";
  observer.disconnect();
  main.replaceChildren(element);
  document.title = title ? `${title} – Incident lab` : "Incident lab";
  for (const one of document.querySelectorAll(".top nav a")) {
    const claimsLink = one.hash === "#/claims";
    one.toggleAttribute("aria-current", claimsLink === (title === "Claims") && (claimsLink || opened === null));
  }
  main.querySelectorAll(".drawing").forEach((host) => { drawInto(host); observer.observe(host); });
  if (opened) {
    lastCell = opened.length ? opened : lastCell;
    window.scrollTo(0, 0);
    if (moveFocus) main.querySelector("h1").focus({ preventScroll: true });
    return;
  }
  const stops = [...main.querySelectorAll(".stop")];
  const before = lastCell && stops.find(({ dataset }) => dataset.incident === lastCell[0] && dataset.shape === lastCell[1]);
  const first = main.querySelector("a.heat") || stops[0];
  if (first) activate(before || first, Boolean(before) && moveFocus);
  if (chosen) main.querySelector("input[name=metric]:checked").focus();
}

function chooseMetric(id) {
  history.replaceState(null, "", link("metric", id));
  show(false);
}

window.addEventListener("hashchange", () => show());
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && ["cell", "incident", "claims"].includes(parts()[0])) location.hash = lastMetric === "verdict" ? "#/" : link("metric", lastMetric);
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  const stop = main.querySelector(".stop[tabindex='0']");
  if (stop) stop.focus();
  else location.hash = "#/";
});

// A page from a file may not be allowed to store the choice.
const stored = { get: () => { try { return localStorage.getItem("theme"); } catch { return null; } }, set: (theme) => { try { localStorage.setItem("theme", theme); } catch { /* Not stored. */ } } };
const button = document.getElementById("theme");
const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (systemDark.matches ? "dark" : "light")) === "dark";
function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  button.textContent = isDark() ? "Light" : "Dark";
  button.setAttribute("aria-label", isDark() ? "Switch to light colours" : "Switch to dark colours");
}
button.addEventListener("click", () => { const theme = isDark() ? "light" : "dark"; stored.set(theme); setTheme(theme); });
systemDark.addEventListener("change", () => setTheme());
setTheme(["dark", "light"].includes(stored.get()) ? stored.get() : null);
show(false);
if (parts()[0] === "cell" || parts()[0] === "incident") main.querySelector("h1").focus({ preventScroll: true });
