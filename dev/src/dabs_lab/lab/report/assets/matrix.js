// The matrix of incidents and shapes as a heat map, with one cell in the order of tabs and arrow keys between cells.
const METRICS = [["verdict", "Verdict"], ...DATA.figures.filter((figure) => figure.steps.length).map((figure) => [figure.id, figure.title])];

// The symbol, the words and the colour of a cell for a metric.
function reading(aggregate, metric) {
  if (metric === "verdict" || aggregate.verdict === "not shown") {
    const count = aggregate.verdicts[aggregate.verdict], all = Object.values(aggregate.verdicts).reduce((sum, one) => sum + one);
    const some = count < all ? ` ${count} of ${all}` : "";
    return { text: `${SYMBOL[aggregate.verdict]} ${some ? "" : aggregate.verdict}${some.trim()}`, style: aggregate.verdict.replace(" ", "-") };
  }
  const [worst, , , level] = aggregate.figures[FIGURE[metric]];
  return { text: words(FIGURE[metric], worst, true), style: worst === null ? "no-value" : "level-" + level };
}

function spread(aggregate, metric) {
  if (metric === "verdict") {
    return Object.entries(aggregate.verdicts).map(([verdict, count]) => `${verdict} with ${count === 1 ? "1 seed" : `${count} seeds`}`).join(", ");
  }
  const index = FIGURE[metric];
  const [worst, best, seed] = aggregate.figures[index];
  const title = DATA.figures[index].title;
  return worst === best ? `${title}: ${words(index, worst)}` : `${title}: ${words(index, worst)} at worst (seed ${seed}), ${words(index, best)} at best`;
}

function matrixCell(incident, shape, aggregate, metric) {
  const edge = shape.firstOther ? " first-other" : "";
  if (!aggregate) {
    const label = `${incident.title}, ${shape.title}: not measured`;
    return h("td", { role: "gridcell", class: edge }, h("span", { class: "stop heat no-value", tabindex: -1, role: "img", title: label, "aria-label": label }, "·"));
  }
  const { text, style } = reading(aggregate, metric);
  const label = `${incident.title}, ${shape.title}: ${aggregate.verdict}. ${spread(aggregate, metric)}`;
  const target = link("cell", incident.id, shape.id, aggregate.seed);
  return h("td", { role: "gridcell", class: edge },
    h("a", { href: target, class: "stop heat " + style, tabindex: -1, title: label, "aria-label": label, "data-incident": incident.id, "data-shape": shape.id }, text));
}

function legend(metric) {
  const key = (style, text) => h("li", {}, h("span", { class: "heat swatch " + style, "aria-hidden": "true" }), text);
  if (metric === "verdict") {
    return h("ul", { class: "legend" }, key("held", "✓ held: each promise of the incident"),
      key("broken", "✕ broken: at least one promise; a number: in so many seeds"), key("not-shown", "– not shown on this machine"));
  }
  const figure = DATA.figures[FIGURE[metric]];
  const value = (number) => words(FIGURE[metric], number, true);
  const texts = figure.steps.map((step) => (step === 0 ? value(0) : `up to ${value(step)}`));
  texts.push(`more${figure.never ? ", or never" : ""}`);
  return h("div", {},
    h("ul", { class: "legend" }, texts.map((text, index) => key("level-" + index, text))),
    h("p", { class: "about" }, figure.about, scaledNote(figure), DATA.seeds.length > 1 ? ` A cell shows the worst of ${DATA.seeds.length} seeds.` : ""));
}
const scaledNote = (figure) =>
  figure.scaled && DATA.machine.time_scale !== 1 ? ` It contains waiting times of the platform, which are multiplied by ${DATA.machine.time_scale}.` : "";

function matrix(metric) {
  const shapes = DATA.shapes.map((shape, index) => ({ ...shape, firstOther: !shape.deployable && index > 0 && DATA.shapes[index - 1].deployable }));
  const deployable = shapes.filter((shape) => shape.deployable).length;
  const over = (count, text, style = "") => (count ? h("th", { colspan: count, scope: "colgroup", class: "over" + style }, text) : null);
  const held = (index) => {
    const measured = DATA.matrix.map((row) => row[index]).filter((cell) => cell && cell.verdict !== "not shown");
    return `${measured.filter((cell) => cell.verdict === "held").length} of ${measured.length} held`;
  };
  const head = h("thead", {},
    h("tr", {}, h("td", { class: "corner" }), over(deployable, "Deployable"), over(shapes.length - deployable, "For comparison", " first-other")),
    h("tr", { role: "row" }, h("th", { scope: "col", class: "corner" }, "Incident"),
      shapes.map((shape, index) => h("th", { scope: "col", role: "columnheader", class: shape.firstOther ? "first-other" : "", title: `${shape.title}: ${shape.about}` },
        h("span", { class: "clamp" }, shape.title), h("span", { class: "held-count" }, held(index))))));
  const body = h("tbody");
  let group = null;
  DATA.incidents.forEach((incident, row) => {
    if (incident.group !== group) {
      group = incident.group;
      body.append(h("tr", { class: "group" }, h("th", { scope: "rowgroup" }, group), h("td", { colspan: shapes.length })));
    }
    body.append(h("tr", { role: "row" },
      h("th", { scope: "row", role: "rowheader" }, h("a", { href: link("incident", incident.id), title: `${incident.title}: all shapes side by side`, class: "stop clamp", tabindex: -1, "data-incident": incident.id }, incident.title)),
      shapes.map((shape, column) => matrixCell(incident, shape, DATA.matrix[row][column], metric))));
  });
  const columns = h("colgroup", {}, h("col", { class: "first" }), shapes.map((shape) => h("col", { class: shape.firstOther ? "wide" : "" })));
  const grid = h("table", { role: "grid", class: "matrix", "aria-label": "Incidents and shapes", onkeydown: moved }, columns, head, body);
  return h("div", { class: "scroll" }, grid);
}

// Stops of the grid, one list per row: the name of the incident, then its cells.
const gridRows = (grid) => [...grid.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll(".stop")]).filter((row) => row.length);

function activate(cell, focus) {
  for (const other of cell.closest("table").querySelectorAll(".stop")) other.tabIndex = -1;
  cell.tabIndex = 0;
  if (focus) {
    cell.focus({ preventScroll: true });
    cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

function moved(event) {
  const cell = event.target.closest(".stop");
  if (!cell || event.altKey || event.metaKey) return;
  const rows = gridRows(event.currentTarget);
  const row = rows.findIndex((cells) => cells.includes(cell));
  const column = rows[row].indexOf(cell);
  const last = rows[row].length - 1;
  const steps = {
    ArrowRight: [row, Math.min(last, column + 1)], ArrowLeft: [row, Math.max(0, column - 1)],
    ArrowDown: [Math.min(rows.length - 1, row + 1), column], ArrowUp: [Math.max(0, row - 1), column],
    Home: [event.ctrlKey ? 0 : row, 0], End: [event.ctrlKey ? rows.length - 1 : row, last],
  };
  const step = steps[event.key];
  if (!step) return;
  event.preventDefault();
  activate(rows[step[0]][Math.min(step[1], rows[step[0]].length - 1)], true);
}
