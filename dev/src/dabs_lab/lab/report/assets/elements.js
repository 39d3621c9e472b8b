// Data of the report, and functions that build elements. Texts are always set as text, never as HTML.
const DATA = JSON.parse(document.getElementById("data").textContent);
const TEXT = DATA.texts;
const FIGURE = Object.fromEntries(DATA.figures.map((figure, index) => [figure.id, index]));
const SVG = "http://www.w3.org/2000/svg";
const SYMBOL = { held: "✓", broken: "✕", "not shown": "–", confirmed: "✓", refuted: "✕" };

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}
const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const link = (...parts) => "#/" + parts.map((part) => encodeURIComponent(part)).join("/");
const badge = (verdict) =>
  h("span", { class: "badge " + verdict.replace(" ", "-") }, h("span", { "aria-hidden": "true" }, SYMBOL[verdict]), " ", verdict);

function seconds(value) {
  const sign = value < 0 ? "−" : "";
  const size = Math.abs(value);
  const two = (whole, large, rest, small) => sign + `${whole} ${large}` + (rest ? ` ${rest} ${small}` : "");
  const minutes = Math.round(size / 60), all = Math.round(size);
  if (size >= 3600) return two(Math.floor(minutes / 60), "h", minutes % 60, "min");
  if (size >= 120) return two(Math.floor(all / 60), "min", all % 60, "s");
  return `${sign}${size >= 10 ? Math.round(size) : Number(size.toFixed(1))} s`;
}

// A value of a figure in words. short: for a cell of the matrix.
function words(index, value, short = false) {
  const figure = DATA.figures[index];
  if (value === null) return short ? "–" : "does not apply";
  if (value === "never") return short ? "never" : figure.never;
  if (figure.unit === "s") return seconds(value);
  return value.toLocaleString("en", { maximumFractionDigits: 0 }) + (figure.unit === "MB" ? " MB" : "");
}

const cellsOf = (incident, shape) => DATA.cells.filter((cell) => cell.incident === incident && cell.shape === shape);
const byId = (list, id) => list.find((item) => item.id === id);
function aggregateOf(incident, shape) {
  const row = DATA.matrix[DATA.incidents.findIndex((item) => item.id === incident)];
  return row && row[DATA.shapes.findIndex((item) => item.id === shape)];
}
