// The timeline of a cell: what the UI reports above what is true, then tasks, then streams.
const HEADINGS = ["What the UI reports", "What is true", "Tasks", "Streams"];
const MARK_WORDS = ["Fault", "Repair", "Notification", "Recovered"];
const HERO = 28, THIN = 14, GAP = 6, SILENCE = 24, CHARACTER = 6.4;

// The longest start of a text that fits into a width in pixels; empty if less than four characters fit.
function fitting(text, width) {
  const room = Math.floor(width / CHARACTER);
  if (text.length <= room) return text;
  return room < 4 ? "" : text.slice(0, room - 1).trimEnd() + "…";
}

function ticks(begin, end, width) {
  const rough = ((end - begin) / width) * 80;
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600].find((size) => size >= rough) || 86400;
  const found = [];
  for (let at = Math.ceil(begin / step) * step; at <= end; at += step) found.push(at);
  return found;
}

const symbols = [
  () => s("path", { d: "M-6,-5 H6 L0,6 Z" }),
  () => s("path", { d: "M0,-6 L6,0 L0,6 L-6,0 Z" }),
  () => s("circle", { r: 4.5 }),
  () => s("path", { d: "M-5,0 L-1.5,4 L5,-4", class: "stroke" }),
];
const symbol = (kind, x, y) => s("g", { transform: `translate(${x},${y})`, class: "symbol mark-" + kind }, symbols[kind]());

// A later mark goes below the earlier ones that its text would meet, so that no line crosses a text.
function placed(marks, x, right) {
  const ends = [];
  return marks.map(([at, kind, label]) => {
    const text = MARK_WORDS[kind] + (TEXT[label] ? ": " + TEXT[label] : "");
    const left = x(at);
    let row = ends.length;
    while (row > 0 && ends[row - 1] < left - 8) row -= 1;
    // The last row contains symbols only.
    const shown = row > 3 ? "" : fitting(text, Math.min(330, right - left - 12));
    row = Math.min(row, 4);
    ends[row] = left + 16 + shown.length * CHARACTER;
    ends.length = row + 1;
    return { at, kind, text, shown, row, left };
  });
}

// options: begin, end (seconds of the axis), shift (seconds of the axis at the start of the job), width, brief (only
// the two first bars), axis (with numbers), label (for screen readers).
function timeline(cell, options) {
  const { width, brief } = options;
  const shift = options.shift || 0;
  const column = width >= 620 ? 176 : 0;
  const right = width - 10;
  const scale = (right - column - 2) / (options.end - options.begin);
  const x = (at) => Math.round(10 * (column + 2 + (at + shift - options.begin) * scale)) / 10;
  const back = s("g"), bars = s("g"), lines = s("g"), front = s("g");
  const marks = placed(cell.marks, x, width);
  const rows = brief ? 1 : Math.max(0, ...marks.map((mark) => mark.row)) + 1;
  let y = marks.length ? rows * 18 + 6 : 4;
  const top = y;
  const hero = {};

  const name = (text, bold, height, title = text) => {
    if (!column) y += 15;
    const where = column ? { x: column - 10, y: y + height / 2 + 4, "text-anchor": "end" } : { x: 2, y: y - 4 };
    const label = s("text", { ...where, class: bold ? "lane bold" : "lane" }, fitting(text, column ? column - 12 : width - 8));
    label.append(s("title", {}, title));
    front.append(label);
  };
  for (const kind of brief ? [0, 1] : [0, 1, 2, 3]) {
    const lanes = cell.lanes.filter((lane) => lane[0] === kind);
    const height = kind < 2 ? HERO : THIN;
    if (kind === 1) y += SILENCE - GAP;
    if (kind > 1 && lanes.length) {
      y += 26;
      front.append(s("text", { x: column ? column - 10 : 2, y: y - 6, "text-anchor": column ? "end" : "start", class: "kind" }, HEADINGS[kind]));
      back.append(s("line", { x1: 0, x2: width, y1: y - 22, y2: y - 22, class: "rule" }));
    }
    for (const [, title, laneBars] of lanes) {
      const only = kind < 2 && lanes.length === 1;
      const text = only ? HEADINGS[kind] : kind < 2 ? `${kind ? "True" : "UI"}: ${TEXT[title]}` : TEXT[title];
      name(text, kind < 2, height, only ? `${HEADINGS[kind]}: ${TEXT[title]}` : text);
      hero[kind] = hero[kind] || { from: y };
      back.append(s("rect", { x: x(-shift + options.begin), y, width: right - column - 2, height, class: "track" }));
      for (const bar of laneBars) bars.append(drawnBar(bar, x, y, height, front));
      y += height;
      hero[kind].to = y;
      y += GAP;
    }
  }
  const bottom = y;
  for (const at of ticks(options.begin, options.end, right - column)) {
    const place = x(at - shift);
    back.append(s("line", { x1: place, x2: place, y1: top, y2: bottom, class: "grid" }));
    const anchor = place - column < 14 ? "start" : place > right - 14 ? "end" : "middle";
    if (options.axis) front.append(s("text", { x: place, y: bottom + 15, "text-anchor": anchor, class: "tick" }, seconds(at)));
  }
  for (const { at, kind, text, shown, row, left } of marks) {
    const high = brief ? 10 : row * 18 + 10;
    lines.append(s("line", { x1: left, x2: left, y1: high, y2: bottom, class: "line mark-" + kind }));
    const label = brief ? "" : shown;
    front.append(s("g", {}, symbol(kind, left, high), s("text", { x: left + 11, y: high + 4, class: "mark" }, label), s("title", {}, `${text}, at ${seconds(at)}`)));
  }
  if (hero[0] && hero[1]) lines.append(...silence(cell, x, hero, width, front));
  const height = bottom + (options.axis ? 22 : 2);
  return s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", class: "timeline", "aria-label": options.label }, back, bars, lines, front);
}

// front: the layer of texts, above all lines.
function drawnBar([begin, end, state, label], x, y, height, front) {
  const name = DATA.states[state];
  const from = x(begin), width = Math.max(1.5, x(end) - x(begin) - 1);
  const kind = "state " + name.replaceAll(" ", "-");
  const all = TEXT[label] ? `${name}, ${TEXT[label]}` : name;
  const room = (height < HERO ? width - 10 : width - 12) * (kind.match(/dead|failed/) ? 0.9 : 1);
  // A name cut to a few letters says nothing.
  const shown = [...(height < HERO ? [] : [all]), name, name.split(" ")[0]].find((text) => text.length * CHARACTER <= room);
  const drawn = s("g", { class: kind }, s("rect", { x: from, y, width, height, rx: 2, class: "base" }));
  if (["stuck", "dead", "waiting for a retry"].includes(name)) {
    drawn.append(s("rect", { x: from, y, width, height, rx: 2, class: "pattern", fill: name === "stuck" ? "url(#dots)" : "url(#stripes)" }));
  }
  drawn.append(s("title", {}, `${all}: ${seconds(begin)} to ${seconds(end)}`));
  if (shown) {
    front.append(s("text", { x: from + 6, y: y + height / 2 + (height < HERO ? 3.5 : 4), class: `on ${kind}${height < HERO ? " small" : ""}` }, shown));
  }
  return drawn;
}

// The times at which the two upper bars contradict each other. A label that fits into no frame is placed next to the
// longest one, and counts all of them.
function silence(cell, x, hero, width, front) {
  const spans = cell.silent.map(([begin, end]) => ({ begin, end, left: x(begin), right: x(end) }));
  const total = spans.reduce((sum, span) => sum + span.end - span.begin, 0);
  const half = (text) => (text.length * CHARACTER * 1.1) / 2 + 3;
  const label = (at, text) => front.append(s("text", { x: at, y: hero[0].to + SILENCE / 2 + 4, "text-anchor": "middle", class: "silent" }, text));
  const text = ({ begin, end }) => `silent for ${seconds(end - begin)}`;
  const inside = spans.filter((span) => span.right - span.left > 2 * half(text(span)));
  inside.forEach((span) => label((span.left + span.right) / 2, text(span)));
  if (spans.length && !inside.length) {
    const longest = spans.reduce((best, span) => (span.end - span.begin > best.end - best.begin ? span : best));
    const all = spans.length > 1 ? `silent ${spans.length} times, ${seconds(total)} in all` : text(longest);
    label(longest.right + 2 * half(all) > width ? longest.left - half(all) : longest.right + half(all), all);
  }
  return spans.map(({ begin, end, left, right }) => s("g", { class: "silence" },
    s("rect", { x: left, y: hero[0].from - 2, width: Math.max(2, right - left), height: hero[1].to - hero[0].from + 4, rx: 3 }),
    s("title", {}, `The job reports RUNNING and a stream does not work: ${seconds(begin)} to ${seconds(end)}`)));
}

// Draw now, and again when the width of the host changes. draw: a function of the width.
const observer = new ResizeObserver((entries) => {
  for (const { target } of entries) drawInto(target);
});
function drawInto(host) {
  const width = Math.floor(host.clientWidth);
  if (width && width !== host.drawnWidth) {
    host.drawnWidth = width;
    host.replaceChildren(host.draw(width));
  }
}
function drawing(draw) {
  const host = h("div", { class: "drawing" });
  host.draw = draw;
  observer.observe(host);
  return host;
}
