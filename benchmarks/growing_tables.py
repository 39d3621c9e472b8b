"""Cost of a batch while the tables grow (P3).

In turns, the same files are processed in a home whose tables hold 20 million readings and in one that began empty:
first batches of 20,000 lines, then batches of 250,000. P3-10M runs only by name: it lets the tables grow to 10 million
readings, batch by batch, and compares the cost per row of the last million with that of the first.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.filled_tables import fill
from benchmarks.large_batches import LARGE, SMALL, Turn, in_turns
from benchmarks.measurement import Measurement, Ratio, Result
from benchmarks.record import say, spread
from benchmarks.simulated_home import (
    FIRST_THREE,
    ORIGIN,
    FileSets,
    Processed,
    opened_home,
    process,
    refuse_differences,
    summary,
)
from sensor_streams.verify import verify

STORED, MOST_LINES = 20_000_000, 10_000_000
# Batches of the first and of the last million.
COMPARED = 4
# In the first batches the JVM is cold, which would make the first million look expensive.
WARM_UPS = 2


def full_and_small(folder: Path, rounds: int, stored: int = STORED, small: int = SMALL, large: int = LARGE) -> Result:
    """Compare the cost of batches of `small` and of `large` lines in full tables with that in small ones."""
    full, empty = (opened_home(folder / name, folder / "landing") for name in ("full", "empty"))
    # The first set creates the tables, before they are filled. Of each size, one set warms up.
    few = FileSets.simulated(full.fleet, folder, rounds + 2, small)
    few.land()
    process(full)
    process(empty)
    say(f"filling the tables with {stored:,} readings")
    rows = fill(full, stored)
    turns = in_turns(few, rounds, lambda: process(full), lambda: process(empty))
    many = FileSets.simulated(full.fleet, folder, rounds + 1, large, few.end)
    large_turns = in_turns(many, rounds, lambda: process(full), lambda: process(empty))
    about = f"{stored / 1e6:g} million readings stored"
    million = sum(turn.lines for turn in large_turns) / 1e6
    # The streams did not write the generated rows, so only the rows after them are verified.
    computed = verify(full.catalog, full.fleet, full.load_model, low=ORIGIN, only=FIRST_THREE[1:])
    figures = {
        "stored": rows,
        f"batches of {large:,} lines": _by_home(large_turns),
        f"batches of {small:,} lines": _by_home(turns),
        "differing": refuse_differences([*computed, *empty.verify()]),
    }
    per_row = Ratio(
        name=f"seconds per million rows, batches of {large:,} lines, {about} / {million:.1f} at the end",
        ours=[1e6 * turn.ours.total / turn.lines for turn in large_turns],
        other=[1e6 * turn.rival.total / turn.lines for turn in large_turns],
        unit="s",
        goal="≤ 1.1",
    )
    one_more = Ratio(
        name=f"seconds of one more batch of {small:,} lines, {about} / none",
        ours=[turn.ours.total for turn in turns],
        other=[turn.rival.total for turn in turns],
        unit="s",
        goal="≤ 1.3",
    )
    return Result([per_row, one_more], figures=figures)


def growing(folder: Path, rounds: int, lines: int = MOST_LINES, batch: int = LARGE) -> Result:
    """Compare the seconds per million rows at the end of `lines` lines with those at the beginning.

    rounds: not used, because the tables grow only once.
    """
    home = opened_home(folder / "home", folder / "landing")
    batches = max(lines // batch, COMPARED) + WARM_UPS
    say(f"simulating {batches} batches of {batch:,} lines")
    files = FileSets.simulated(home.fleet, folder, batches, batch)
    found: list[tuple[int, Processed]] = []
    for number in range(batches):
        found.append((files.land(), process(home)))
        say(f"batch {number + 1} of {batches}: {found[-1][0]:,} lines, {found[-1][1].total:.1f} s")
    first, last = found[WARM_UPS : WARM_UPS + COMPARED], found[-COMPARED:]
    ratio = Ratio(
        name=f"seconds per million rows, the last million of {lines / 1e6:g} / the first",
        ours=[1e6 * one.total / count for count, one in last],
        other=[1e6 * one.total / count for count, one in first],
        unit="s",
        goal="≤ 1.1",
    )
    figures = {
        "lines": sum(count for count, _ in found),
        "first": summary([one for _, one in first]),
        "last": summary([one for _, one in last]),
        "peak_mb_by_batch": [round(max(one.peak_mb.values(), default=0.0)) for _, one in found],
        "differing": refuse_differences(home.verify()),
    }
    return Result([ratio], figures=figures)


def _by_home(turns: Sequence[Turn]) -> dict[str, object]:
    return {
        "lines": spread([turn.lines for turn in turns]),
        "full": summary([turn.ours for turn in turns]),
        "empty": summary([turn.rival for turn in turns]),
    }


MEASUREMENTS = [
    Measurement("P3", "cost of a batch with 20 million readings stored, next to small tables", 14, full_and_small),
    Measurement("P3-10M", "cost per row as the tables grow to 10 million rows", 25, growing, by_default=False),
]
