"""Run the cells of incident × shape × seed that have no result yet, and keep each result at once."""

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from dabs_lab.lab.cell import run_cell
from dabs_lab.lab.declarations import Incident, Project, Shape
from dabs_lab.lab.results import Cell, Machine, Results, read_results, write_results

_PACKAGES = ("pyspark", "delta-spark")


@dataclass(frozen=True)
class Plan:
    """Cells to run. again: also those that have a result."""

    incidents: Sequence[Incident]
    shapes: Sequence[Shape]
    seeds: Sequence[int] = (1,)
    again: bool = False

    def cells(self) -> list[tuple[Incident, Shape, int]]:
        """Return the cells in order: a whole row of the matrix, then the next."""
        return [(i, s, seed) for seed in self.seeds for i in self.incidents for s in self.shapes]


class Board(Protocol):
    """Display of a running lab."""

    def begin(self, incident: Incident, shape: Shape, seed: int, left: int, seconds_left: float | None) -> None:
        """A cell begins. left: cells to run, with this one; seconds_left: estimated, None before the first cell."""

    def step(self, what: str) -> None:
        """The cell has come to a step."""

    def end(self, cell: Cell) -> None:
        """The cell has a result."""


def run_matrix(project: Project, plan: Plan, file: Path, time_scale: float, board: Board, commit: str = "") -> Results:
    """Run all cells of a plan; `file` gets the results after each cell, so an interrupted run can be continued.

    Results of cells that are not in the plan stay in the file.
    """
    kept = list(read_results(file).cells) if file.exists() else []
    made = {(cell.incident, cell.shape, cell.seed): cell for cell in kept}
    todo = [one for one in plan.cells() if plan.again or (one[0].id, one[1].id, one[2]) not in made]
    machine = this_machine(time_scale)
    spent: list[float] = []
    results = _results(project, made, machine, commit)
    for at, (incident, shape, seed) in enumerate(todo):
        left = len(todo) - at
        mean = sum(spent) / len(spent) if spent else None
        board.begin(incident, shape, seed, left, None if mean is None else mean * left)
        begin = time.monotonic()
        cell = run_cell(project, incident, shape, seed, board.step)
        if cell.seconds:
            spent.append(time.monotonic() - begin)
        made[(cell.incident, cell.shape, cell.seed)] = cell
        board.end(cell)
        results = _results(project, made, machine, commit)
        write_results(results, file)
    return results


def _results(project: Project, made: Mapping[tuple[str, str, int], Cell], machine: Machine, commit: str) -> Results:
    incidents, shapes = [one.id for one in project.incidents], [one.id for one in project.shapes]

    def place(cell: Cell) -> tuple[int, int, int]:
        return incidents.index(cell.incident), shapes.index(cell.shape), cell.seed

    known = [cell for cell in made.values() if cell.incident in incidents and cell.shape in shapes]
    used = {cell.shape for cell in known}
    seen = {cell.incident for cell in known}
    return Results(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit,
        machine=machine,
        shapes=[one.text for one in project.shapes if one.id in used],
        incidents=[one.text for one in project.incidents if one.id in seen],
        cells=sorted(known, key=place),
    )


def this_machine(time_scale: float) -> Machine:
    """Return where the results are measured."""
    return Machine(
        cores=os.cpu_count() or 1,
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        system=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        versions={name: version(name) for name in _PACKAGES},
        load=round(os.getloadavg()[0], 1),
        time_scale=time_scale,
    )
