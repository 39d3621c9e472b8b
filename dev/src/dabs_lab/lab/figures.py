"""Figures of a cell: their names, their meaning, and the worst of several seeds."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from dabs_lab.lab.results import Cell, LaneKind, State, Verdict

# None: the figure does not apply to the cell. NEVER: the observation ended before it happened.
Value = float | Literal["never"] | None
NEVER: Literal["never"] = "never"


class Unit(StrEnum):
    """Unit of a figure. LOST counts what must be 0, COUNT what may have any value."""

    SECONDS = "s"
    LOST = "lost"
    COUNT = "count"
    MEGABYTES = "MB"


@dataclass(frozen=True)
class Figure:
    """A figure as the report names it. read: its value in a cell that was measured."""

    id: str
    title: str
    about: str
    unit: Unit
    read: Callable[[Cell], Value]
    # The greatest value of each level of the heat map; empty: the figure is not in the heat map.
    steps: Sequence[float] = ()
    # The figure contains waiting times of the platform, which the lab scales.
    scaled: bool = False
    never: str = ""

    def value(self, cell: Cell) -> Value:
        """Return the value of a cell, None if the cell was not shown."""
        return None if cell.verdict is Verdict.NOT_SHOWN else self.read(cell)

    def level(self, value: Value) -> int:
        """Return the level of a value in the heat map, from 0 (good) to the number of steps."""
        if value is None:
            return 0
        return len(self.steps) if value == NEVER else bisect_left(self.steps, value)


def _detection(cell: Cell) -> Value:
    # Without a silent second no detection was due.
    seconds, silent = cell.figures.detection_seconds, cell.figures.silent_seconds
    return NEVER if seconds is None and silent else seconds


def _recovery(cell: Cell) -> Value:
    # Tables without a wrong row need no recovery.
    f = cell.figures
    wrong = f.rows_lost + f.rows_duplicated + f.rows_wrong + f.alerts_wrong + f.lines_unaccounted
    return NEVER if f.recovery_seconds is None and wrong else f.recovery_seconds


_ROWS = (0, 9, 99, 999)
FIGURES: Sequence[Figure] = (
    Figure(
        "silent_seconds",
        "Silent time",
        "The job reports RUNNING, one of its streams is dead or stuck, and it has notified nobody.",
        Unit.SECONDS,
        lambda cell: cell.figures.silent_seconds,
        (0, 2, 10, 60),
    ),
    Figure(
        "detection_seconds",
        "Detection",
        "From the moment at which the process can know of the fault to the first change of a state in the job.",
        Unit.SECONDS,
        _detection,
        (2, 5, 15, 60),
        never="never detected",
    ),
    Figure(
        "rows_lost",
        "Rows lost",
        "Rows that a run without the fault has and this run does not have, after the recovery.",
        Unit.LOST,
        lambda cell: cell.figures.rows_lost,
        _ROWS,
    ),
    Figure(
        "rows_duplicated",
        "Rows duplicated",
        "Rows that occur more than once, after the recovery.",
        Unit.LOST,
        lambda cell: cell.figures.rows_duplicated,
        _ROWS,
    ),
    Figure(
        "recovery_seconds",
        "Recovery",
        "From the fault to the moment at which all tables are complete again.",
        Unit.SECONDS,
        _recovery,
        (10, 30, 60, 300),
        scaled=True,
        never="never recovered",
    ),
    Figure(
        "rows_wrong",
        "Rows wrong",
        "Rows with another value than in a run without the fault.",
        Unit.LOST,
        lambda cell: cell.figures.rows_wrong,
    ),
    Figure(
        "alerts_wrong",
        "Alerts wrong",
        "Rows of alerts and of their events that are lost, duplicated or wrong.",
        Unit.LOST,
        lambda cell: cell.figures.alerts_wrong,
    ),
    Figure(
        "lines_unaccounted",
        "Lines unaccounted for",
        "Lines of input files that are neither accepted nor rejected nor duplicate.",
        Unit.LOST,
        lambda cell: cell.figures.lines_unaccounted,
    ),
    Figure(
        "batches_repeated",
        "Batches repeated",
        "Micro-batches that ran more than once.",
        Unit.COUNT,
        lambda cell: cell.figures.batches_repeated,
    ),
    Figure(
        "attempts", "Attempts", "Attempts of all tasks, with retries.", Unit.COUNT, lambda cell: cell.figures.attempts
    ),
    Figure("runs", "Runs", "Runs of the job.", Unit.COUNT, lambda cell: cell.figures.runs),
    Figure(
        "peak_mb",
        "Peak memory",
        "Memory of all processes of the job at its greatest.",
        Unit.MEGABYTES,
        lambda cell: cell.figures.peak_mb,
    ),
    Figure(
        "processes",
        "Processes",
        "Processes of the job at the same time, at most.",
        Unit.COUNT,
        lambda cell: cell.figures.processes,
    ),
    Figure(
        "collateral_seconds",
        "Collateral time",
        "Longest time for which a healthy stream was dead or stuck, or started again after that.",
        Unit.SECONDS,
        lambda cell: max((damage.seconds for damage in cell.figures.collateral.values()), default=0),
        scaled=True,
    ),
    Figure(
        "collateral_rows",
        "Collateral rows",
        "Rows of healthy streams that differ after the recovery.",
        Unit.COUNT,
        lambda cell: sum(damage.rows for damage in cell.figures.collateral.values()),
    ),
    Figure(
        "notifications",
        "Notifications",
        "Notifications that the platform would send.",
        Unit.COUNT,
        lambda cell: len(cell.figures.notifications),
    ),
)

# From good to bad. Verdicts of claims follow, so that each verdict has a place.
_ORDER = (Verdict.HELD, Verdict.NOT_SHOWN, Verdict.BROKEN, Verdict.CONFIRMED, Verdict.REFUTED)


def badness(value: Value) -> tuple[int, float]:
    """Return a key that sorts values from good to bad: not applicable, numbers, never."""
    if value is None:
        return 0, 0
    return (2, 0) if value == NEVER else (1, value)


def worst_verdict(cells: Sequence[Cell]) -> Verdict:
    """Return the worst verdict of cells, of which there is at least one."""
    return max((cell.verdict for cell in cells), key=_ORDER.index)


def silent_spans(cell: Cell) -> list[tuple[float, float]]:
    """Return the times at which the job reports RUNNING and a stream is dead or stuck.

    A lane of what is reported is compared with the lanes of what is true that have its title, or with all of them.
    """
    true = [lane for lane in cell.lanes if lane.kind is LaneKind.TRUE]
    spans = []
    for reported in (lane for lane in cell.lanes if lane.kind is LaneKind.REPORTED):
        partners = [lane for lane in true if lane.title == reported.title] or true
        for said in (bar for bar in reported.bars if bar.state is State.RUNNING):
            for bar in (bar for lane in partners for bar in lane.bars if bar.state in (State.DEAD, State.STUCK)):
                span = max(said.begin, bar.begin), min(said.end, bar.end)
                if span[0] < span[1]:
                    spans.append(span)
    return _united(spans)


def _united(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    united = list[tuple[float, float]]()
    for begin, end in sorted(spans):
        if united and begin <= united[-1][1]:
            united[-1] = united[-1][0], max(end, united[-1][1])
        else:
            united.append((begin, end))
    return united
