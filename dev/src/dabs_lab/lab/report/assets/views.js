// The views: overview with matrix and claims, one cell, one incident with all shapes.
const pair = (term, ...value) => h("div", {}, h("dt", {}, term), h("dd", {}, ...value));
const section = (title, ...children) => h("section", {}, h("h2", {}, title), ...children);
function table(heads, rows, style = "") {
  return h("div", { class: "scroll" }, h("table", { class: "plain " + style },
    h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((value, index) => (index ? h("td", {}, value) : h("th", { scope: "row" }, value))))))));
}

function overview(metric) {
  const { machine } = DATA;
  const measured = DATA.cells.filter((cell) => cell.verdict !== "not shown").length;
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`).join(", ");
  const choices = METRICS.map(([id, title]) => {
    const input = h("input", { type: "radio", name: "metric", value: id, onchange: () => chooseMetric(id) });
    input.checked = id === metric;
    return h("label", {}, input, h("span", {}, title));
  });
  const part = section("Matrix",
    h("p", {}, "A cell opens the timeline of an incident in a shape. The name of an incident opens all shapes side by side."),
    h("fieldset", { class: "choice" }, h("legend", {}, "Show"), choices), legend(metric), matrix(metric));
  return h("div", {},
    h("h1", {}, "What each job shape does in an incident"),
    h("p", { class: "lead" }, `The lab injected ${DATA.incidents.length} faults from outside into ${DATA.shapes.length} shapes of the same job, ` +
      `on a local runner, and measured what each job reported and what was true. ${measured} of ${DATA.cells.length} cells were measured.`),
    glance(),
    h("dl", { class: "facts" },
      pair("Measured", DATA.made_at.replace("T", " ").replace("Z", " UTC"), DATA.commit ? `, commit ${DATA.commit.slice(0, 10)}` : ""),
      pair("Machine", `${machine.cores} cores, ${machine.memory_gb} GB, ${machine.system}`),
      pair("Load before the first cell", String(machine.load)),
      pair("Versions", versions),
      pair("Seeds", DATA.seeds.join(", "), DATA.seeds.length > 1 ? "; cells show the worst" : ""),
      pair("Waiting times of the platform", machine.time_scale === 1 ? "real" : `multiplied by ${machine.time_scale}`)),
    part);
}

// Results of the deployable shapes in one sentence.
function glance() {
  const ids = DATA.shapes.filter((shape) => shape.deployable).map((shape) => shape.id);
  const cells = DATA.cells.filter((cell) => ids.includes(cell.shape) && cell.verdict !== "not shown");
  if (!cells.length) return null;
  const held = cells.filter((cell) => cell.verdict === "held").length;
  const all = (id) => cells.map((cell) => cell.figures[FIGURE[id]]);
  const sum = (id) => all(id).reduce((total, value) => total + value, 0).toLocaleString("en");
  return h("p", {}, `In the deployable shapes, ${held} of ${cells.length} cells held. Longest silent time: ${seconds(Math.max(...all("silent_seconds")))}. ` +
    `Rows lost: ${sum("rows_lost")}. Rows duplicated: ${sum("rows_duplicated")}.`);
}

function claims() {
  const items = DATA.claims.map((claim) => h("li", { class: "claim", id: "claim-" + claim.id },
    badge(claim.verdict),
    h("div", {}, h("p", { class: "claim-text" }, claim.claim), h("p", { class: "about" }, claim.source),
      claim.note ? h("p", {}, claim.note) : null,
      claim.evidence.length ? h("ul", {}, claim.evidence.map((item) => h("li", {},
        h("a", { href: link("cell", item.incident, item.shape, item.seed) }, `${titleOf(DATA.incidents, item.incident)}, ${titleOf(DATA.shapes, item.shape)}, seed ${item.seed}`), `: ${item.figure}`))) : null)));
  return h("div", {}, h("h1", { tabindex: -1 }, "Claims"),
    h("p", { class: "lead" }, "Statements about job shapes, and what the measured cells say of each."),
    items.length ? h("ul", { class: "claims" }, items) : h("p", {}, "These results contain no claims."));
}
const titleOf = (list, id) => (byId(list, id) || { title: id }).title;

const legendOfTimeline = () => h("ul", { class: "legend marks" },
  MARK_WORDS.map((text, kind) => h("li", {}, s("svg", { width: 16, height: 16, viewBox: "-8 -8 16 16", "aria-hidden": "true" }, s("g", { class: "symbol mark-" + kind }, symbols[kind]())), text)),
  h("li", {}, h("span", { class: "silence-key", "aria-hidden": "true" }), "Silent: the job reports RUNNING, a stream is dead or stuck"));

const tabs = (name, items) => h("nav", { class: "tabs", "aria-label": name }, h("span", { class: "tabs-name" }, name),
  items.map(({ text, href, current }) => h("a", { href, "aria-current": current ? "true" : null, title: text }, text)));
const crumbs = () => h("p", { class: "crumbs" }, h("a", { href: "#/", class: "back" }, "← Matrix"), h("span", { class: "about" }, " (Escape)"));

function story(incident) {
  return h("div", { class: "story" }, h("p", {}, incident.story),
    h("dl", { class: "facts" }, pair("Injected", incident.injected), pair("Must hold", incident.must_hold), incident.note ? pair("Note", incident.note) : null));
}

function cellView(cell) {
  const incident = byId(DATA.incidents, cell.incident) || { title: cell.incident, story: "", injected: "", must_hold: "" };
  const shape = byId(DATA.shapes, cell.shape) || { title: cell.shape, about: "" };
  const seeds = cellsOf(cell.incident, cell.shape);
  const shapes = DATA.shapes.filter((item) => aggregateOf(cell.incident, item.id));
  const label = `Timeline: the job was silent for ${words(FIGURE.silent_seconds, cell.figures[FIGURE.silent_seconds])}. The same data are in the table of states.`;
  const hasTimeline = cell.lanes.length > 0;
  return h("div", {}, crumbs(),
    h("p", { class: "eyebrow" }, incident.title), h("h1", { tabindex: -1 }, shape.title, " ", badge(cell.verdict)),
    h("p", { class: "about" }, shape.about),
    tabs("Shape", [...shapes.map((item) => ({ text: item.title, current: item.id === cell.shape,
      href: link("cell", cell.incident, item.id, cellsOf(cell.incident, item.id).some((other) => other.seed === cell.seed) ? cell.seed : aggregateOf(cell.incident, item.id).seed) })),
      { text: "All shapes side by side", href: link("incident", cell.incident) }]),
    seeds.length > 1 ? tabs("Seed", seeds.map((item) => ({ text: String(item.seed), current: item.seed === cell.seed, href: link("cell", cell.incident, cell.shape, item.seed) }))) : null,
    TEXT[cell.note] ? h("p", { class: "note" }, TEXT[cell.note]) : null,
    cell.broken.length ? h("div", { class: "promises" }, h("h2", {}, "Broken promises"), h("ul", {}, cell.broken.map((text) => h("li", {}, text)))) : null,
    hasTimeline ? section("Timeline", legendOfTimeline(), drawing((width) => timeline(cell, { begin: 0, end: cell.seconds, width, axis: true, label })),
      h("p", { class: "axis-title" }, "since the start of the job"), states(cell)) : null,
    section("Figures", cell.verdict === "not shown" ? h("p", {}, "Not measured on this machine.") : figures(cell)),
    cell.verdict === "not shown" ? null : section("Notifications", notifications(cell)),
    section("The incident", story(incident)),
    decided(cell));
}

// Claims of which the cell is evidence.
function decided(cell) {
  const found = DATA.claims.filter((claim) => claim.evidence.some((item) => item.incident === cell.incident && item.shape === cell.shape && item.seed === cell.seed));
  if (!found.length) return null;
  return section("Claims that this cell decides", h("ul", { class: "decided" }, found.map((claim) => h("li", {}, badge(claim.verdict), " ", h("a", { href: "#/claims" }, claim.claim)))));
}

function states(cell) {
  const rows = cell.lanes.flatMap(([kind, title, bars]) => bars.map(([begin, end, state, label]) =>
    [`${HEADINGS[kind]}: ${TEXT[title]}`, seconds(begin), seconds(end), DATA.states[state] + (TEXT[label] ? `, ${TEXT[label]}` : "")]));
  const marks = cell.marks.map(([at, kind, label]) => [MARK_WORDS[kind], seconds(at), "", TEXT[label]]);
  return h("details", {}, h("summary", {}, "Timeline as a table"), table(["Lane or event", "From", "To", "State"], [...marks, ...rows]));
}

function figures(cell) {
  const aggregate = aggregateOf(cell.incident, cell.shape);
  const several = cellsOf(cell.incident, cell.shape).length > 1;
  const rows = DATA.figures.map((figure, index) => {
    const [worst, best] = aggregate.figures[index];
    const zero = figure.unit === "lost" && cell.figures[index] > 0;
    const value = h("span", { class: zero || cell.figures[index] === "never" ? "value bad" : "value" }, words(index, cell.figures[index]));
    const range = worst === best ? "the same" : `${words(index, best)} … ${words(index, worst)}`;
    return [figure.title, value, ...(several ? [range] : []), figure.about + scaledNote(figure)];
  });
  const person = TEXT[cell.person] || "nobody was needed";
  rows.push(["Person", person, ...(several ? [""] : []), "The manual work without which the job would not have recovered."]);
  const harmed = cell.collateral.map(([name, time, late]) => [TEXT[name], seconds(time), late.toLocaleString("en")]);
  return h("div", {}, table(["Figure", "Value", ...(several ? ["All seeds"] : []), "Meaning"], rows, "figures"),
    harmed.length ? h("div", {}, h("h3", {}, "Damage to streams that the fault did not hit"), table(["Stream", "Without a batch", "Rows late"], harmed)) : null);
}

function notifications(cell) {
  if (!cell.notifications.length) return h("p", {}, "Nobody was notified within the observation.");
  const after = (at) => (cell.fault_at === null ? "" : `${seconds(at - cell.fault_at)} after the fault`);
  return table(["When", "After", "Event", "Who", "Setting"], cell.notifications.map(([at, event, setting, who]) =>
    [seconds(at), after(at), TEXT[event], who.map((one) => TEXT[one]).join(", "), h("code", {}, TEXT[setting])]));
}

function incidentView(incident, seed, aligned) {
  const rows = DATA.shapes.map((shape) => {
    const cells = cellsOf(incident.id, shape.id);
    return { shape, cell: cells.find((cell) => cell.seed === seed) || cells[0] };
  }).filter((row) => row.cell);
  const drawn = rows.filter((row) => row.cell.lanes.length);
  const shift = (cell) => (aligned ? -(cell.fault_at || 0) : 0);
  const begin = Math.min(0, ...drawn.map((row) => shift(row.cell)));
  const end = Math.max(1, ...drawn.map((row) => row.cell.seconds + shift(row.cell)));
  const seeds = [...new Set(DATA.cells.filter((cell) => cell.incident === incident.id).map((cell) => cell.seed))];
  const here = (wantedSeed, wantedAligned) => link("incident", incident.id, wantedSeed, ...(wantedAligned ? ["fault"] : []));
  const figure = (cell, id) => `${DATA.figures[FIGURE[id]].title.toLowerCase()} ${words(FIGURE[id], cell.figures[FIGURE[id]], true)}`;
  return h("div", {}, crumbs(), h("p", { class: "eyebrow" }, incident.group), h("h1", { tabindex: -1 }, incident.title), story(incident),
    section("Shapes side by side",
      seeds.length > 1 ? tabs("Seed", seeds.map((one) => ({ text: String(one), current: one === seed, href: here(one, aligned) }))) : null,
      tabs("Time from", [{ text: "the start of the job", current: !aligned, href: here(seed, false) }, { text: "the fault", current: aligned, href: here(seed, true) }]),
      legendOfTimeline(),
      rows.map(({ shape, cell }) => h("article", { class: "side" },
        h("h3", {}, h("a", { href: link("cell", incident.id, shape.id, cell.seed) }, shape.title), badge(cell.verdict),
          cell.verdict === "not shown" ? null : h("span", { class: "about" }, ["silent_seconds", "detection_seconds", "rows_lost", "recovery_seconds"].map((id) => figure(cell, id)).join(" · "))),
        cell.lanes.length ? drawing((width) => timeline(cell, { begin, end, width, shift: shift(cell), brief: true, axis: true, label: `${shape.title}: ${figure(cell, "silent_seconds")}` }))
          : h("p", { class: "about" }, TEXT[cell.note] || (cell.verdict === "not shown" ? "Not shown on this machine." : "No timeline was recorded."))))));
}
