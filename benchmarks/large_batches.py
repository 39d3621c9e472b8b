"""Speed of large batches next to plain streams: streams 1 to 3 (P1, P1b), and `readings` alone (P2).

Both forms read the same files in the same Spark session, in turns: a set of files lands, one form processes it in one
batch per stream, then the other. The order is swapped in every second round. Each batch is the first one of its query,
so it also opens the tables, in both forms.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.measurement import Measurement, Ratio, Result
from benchmarks.plain_streams import Sources, process_plain, unchecked_form, watermark_form
from benchmarks.record import say, spread
from benchmarks.simulated_home import (
    FIRST_THREE,
    FileSets,
    Processed,
    opened_home,
    process,
    refuse_differences,
    summary,
)
from sensor_streams_dev.local_home import LocalHome

LARGE, SMALL = 250_000, 20_000

Form = Callable[[], Processed]


@dataclass(frozen=True)
class Turn:
    """One set of files, processed by both forms."""

    lines: int
    ours: Processed
    rival: Processed


def streams_1_to_3(folder: Path, rounds: int, lines: int, goal: str = "") -> Result:
    """Compare streams 1 to 3 with their watermark form, in batches of `lines` lines."""
    name = f"speed of streams 1 to 3 / of the watermark form, batches of {lines:,} lines"

    def rival(home: LocalHome) -> Sources:
        return watermark_form(home, folder / "plain")

    return _compared(folder, rounds, lines, FIRST_THREE, rival, name, goal)


def readings_alone(folder: Path, rounds: int, lines: int, goal: str = "") -> Result:
    """Compare `readings` with a stream that parses the lines and appends them, in batches of `lines` lines."""
    name = f"speed of readings / of text, from_json, append without checks, batches of {lines:,} lines"
    return _compared(folder, rounds, lines, FIRST_THREE[:1], unchecked_form, name, goal)


def in_turns(files: FileSets, rounds: int, ours: Form, rival: Form) -> list[Turn]:
    """Land one set of files after the other and let both forms process it; the first one warms up and is left out."""
    turns = []
    for number in range(rounds + 1):
        lines = files.land()
        if number % 2:
            other, own = rival(), ours()
        else:
            own, other = ours(), rival()
        say(f"round {number}: {lines:,} lines, {own.total:.1f} s, the rival {other.total:.1f} s")
        turns.append(Turn(lines, own, other))
    return turns[1:]


def _compared(
    folder: Path,
    rounds: int,
    lines: int,
    streams: Sequence[str],
    rival: Callable[[LocalHome], Sources],
    name: str,
    goal: str,
) -> Result:
    home = opened_home(folder / "home", folder / "landing")
    files = FileSets.simulated(home.fleet, folder, rounds + 1, lines)
    sources = rival(home)
    turns = in_turns(files, rounds, lambda: process(home, streams), lambda: process_plain(sources, folder / "plain"))
    ratio = Ratio(
        name=name,
        ours=[turn.lines / turn.ours.total for turn in turns],
        other=[turn.lines / turn.rival.total for turn in turns],
        unit="rows/s",
        goal=goal,
    )
    figures = {
        "lines": spread([turn.lines for turn in turns]),
        "ours": summary([turn.ours for turn in turns]),
        "rival": summary([turn.rival for turn in turns]),
        "differing": refuse_differences(home.verify()),
    }
    return Result([ratio], figures=figures)


MEASUREMENTS = [
    Measurement(
        "P1",
        "streams 1 to 3 next to their watermark form, large batches",
        7,
        partial(streams_1_to_3, lines=LARGE, goal="≥ 0.7"),
    ),
    Measurement(
        "P1b",
        "streams 1 to 3 next to their watermark form, batches of 20,000 lines",
        3,
        partial(streams_1_to_3, lines=SMALL, goal="≥ 0.5"),
    ),
    Measurement(
        "P2",
        "readings next to text, from_json and append without checks",
        4,
        partial(readings_alone, lines=LARGE, goal="≥ 0.5"),
    ),
]
