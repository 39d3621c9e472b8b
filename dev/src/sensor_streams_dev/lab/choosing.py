"""Write `docs/choosing-a-shape.md` from the results of the lab."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

from dabs_lab.lab.results import Cell, LaneKind, Results, ShapeText, State, Verdict
from sensor_streams_dev.lab.unprotected import Unprotected

_HEAD = """# Choose a job shape

    make lab                                   # the incidents in the three shapes, two hours on 2 cores
    .venv/bin/sensor-streams lab docs          # writes this page from the results in docs/lab

Answer these questions in order; the first yes decides.

1. May results be 15 minutes late? Take **shared_cluster**. It runs by a schedule, its cluster exists only during a run,
   and its two tasks never fail together.
2. Must inference stay up while features fail, or need the two different clusters? Take **cluster_per_task**.
3. Otherwise take **single_task**: one cluster, one process, the shortest way from a file to an alert.

All shapes have the same code, tables and checkpoints, so you can change your mind. [Shapes](shapes.md) says what each
is on Databricks, and how to change to another one.
"""
_FOOT = """
## Read the numbers

Waiting times of the platform (retries, schedules, back-off) are multiplied by 1/{factor} in the lab; starts of
processes, batches and stops are real, on {cores} cores. A cluster on Databricks also takes minutes to start, which no
figure here contains. [The lab](lab.md) says how each figure is measured.

The report with all timelines is one file, `docs/lab/report.html`.
"""
_UNPROTECTED = (
    "`sensor-streams lab unprotected` takes a protection away from the processes of `single_task`, "
    "and runs the incident that it is about. The lab must report the damage; "
    "otherwise its zeros would prove nothing.\n\n"
)
# A cell that was shown with one seed says more than one that was not shown with another.
_WORST = (Verdict.NOT_SHOWN, Verdict.HELD, Verdict.BROKEN)


def page(results: Results, unprotected: Sequence[Unprotected] = ()) -> str:
    """Return the page. results: of all incidents in the deployable shapes; unprotected: of the lab's test of itself."""
    shapes = [shape for shape in results.shapes if shape.deployable]
    parts = [_HEAD, "\n## What each shape costs\n\n", _table(_costs(results, shapes))]
    parts += ["\n## What each incident does to it\n\n", _legend(), _table(_incidents(results, shapes))]
    if results.claims:
        parts += ["\n## What the articles claim\n\n", _table(_claims(results))]
    if unprotected:
        parts += ["\n## What each protection saves\n\n", _UNPROTECTED, _table(_protections(unprotected))]
    factor = round(1 / results.machine.time_scale)
    return "".join([*parts, _FOOT.format(factor=factor, cores=results.machine.cores)])


def write_page(results: Results, unprotected: Sequence[Unprotected], file: Path) -> None:
    """Write the page."""
    file.write_text(page(results, unprotected), "utf-8")


def _costs(results: Results, shapes: Sequence[ShapeText]) -> Iterator[Sequence[str]]:
    yield ["", *(f"`{shape.id}`" for shape in shapes)]
    cells = {shape.id: [c for c in results.cells if c.shape == shape.id and c.lanes] for shape in shapes}

    def row(title: str, values: dict[str, list[float]], unit: str) -> Sequence[str]:
        texts = [f"{median(values[s.id]):,.0f} {unit} ({len(values[s.id])})" if values[s.id] else "–" for s in shapes]
        return [title, *texts]

    yield row("from the start of the job to its first query", {s: _starts(c) for s, c in cells.items()}, "s")
    peaks = {s: [cell.figures.peak_mb for cell in c if cell.figures.peak_mb] for s, c in cells.items()}
    yield row("peak memory of all processes", peaks, "MB")
    processes = {s: [float(cell.figures.processes) for cell in c if cell.figures.processes] for s, c in cells.items()}
    yield row("processes, with Python workers", processes, "")
    recovered = {
        s: [
            cell.figures.recovery_seconds
            for cell in c
            if cell.figures.recovery_seconds is not None and not cell.figures.person
        ]
        for s, c in cells.items()
    }
    yield row("from a fault to complete tables, without a person", recovered, "s")
    runs = {s: [seconds for cell in c for seconds in _run_seconds(cell)] for s, c in cells.items()}
    bounded = [
        f"{median(runs[s.id]):.0f} s of each 15 minutes" if s.id == "shared_cluster" and runs[s.id] else "always"
        for s in shapes
    ]
    yield ["time in which a cluster exists", *bounded]


def _starts(cells: Sequence[Cell]) -> list[float]:
    found = []
    for cell in cells:
        begins = [
            bar.begin
            for lane in cell.lanes
            if lane.kind == LaneKind.STREAM
            for bar in lane.bars
            if bar.state == State.WORKING
        ]
        # A scheduled job waits for its first run.
        runs = [lane.bars[0].begin for lane in cell.lanes if lane.kind == LaneKind.REPORTED and lane.bars]
        if begins and runs:
            found.append(min(begins) - min(runs))
    return found


def _run_seconds(cell: Cell) -> list[float]:
    """Return the length of each run that succeeded."""
    return [
        run.end - run.begin
        for lane in cell.lanes
        if lane.kind == LaneKind.REPORTED
        for run, after in pairwise(lane.bars)
        if run.state == State.RUNNING and after.state == State.ENDED
    ]


def _legend() -> str:
    return (
        "Each cell: whether all promises held, seconds until the job showed it, seconds from the fault to complete "
        "tables. *person*: somebody had to act. A dash: nothing to detect.\n\n"
    )


def _incidents(results: Results, shapes: Sequence[ShapeText]) -> Iterator[Sequence[str]]:
    yield ["incident", *(f"`{shape.id}`" for shape in shapes)]
    for incident in results.incidents:
        found = [_incident(results.find(incident.id, shape.id)) for shape in shapes]
        yield [incident.title, *found]


def _incident(cells: Sequence[Cell]) -> str:
    if not cells:
        return "–"
    worst = max(cells, key=lambda cell: (_WORST.index(cell.verdict), cell.figures.recovery_seconds or 0))
    if worst.verdict == Verdict.NOT_SHOWN:
        return "not shown"
    figures = worst.figures
    shown = "–" if figures.detection_seconds is None else f"{figures.detection_seconds:.1f}"
    whole = "never" if figures.recovery_seconds is None else f"{figures.recovery_seconds:.0f}"
    person = ", *person*" if figures.person else ""
    broken = f" ({'; '.join(worst.broken)})" if worst.broken else ""
    return f"{worst.verdict.value}{broken}, {shown}, {whole}{person}"


def _claims(results: Results) -> Iterator[Sequence[str]]:
    yield ["claim", "verdict", "evidence"]
    for claim in results.claims:
        evidence = "; ".join(f"{one.incident} in `{one.shape}`: {one.figure}" for one in claim.evidence)
        yield [claim.claim, claim.verdict.value, evidence or "–"]


def _protections(found: Sequence[Unprotected]) -> Iterator[Sequence[str]]:
    yield ["protection", "without it", "incident", "the lab reports"]
    for one in found:
        # Without the rows of each table.
        reported = [re.sub(r" \([^)]*\)", "", what) for what in one.reported]
        yield [one.about, one.instead, one.incident, "; ".join(reported) or "nothing"]


def _table(rows: Iterator[Sequence[str]]) -> str:
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
