"""Phases of a large batch (by name): what the seconds of P1 and P2 consist of, without a rival.

The functions of each phase are timed from outside. Spark works when it has to, so a phase includes the work that was
only planned before: reading and parsing lines ends with their checkpoint, and so on.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from benchmarks.large_batches import LARGE
from benchmarks.measurement import Measurement, Result
from benchmarks.record import say
from benchmarks.simulated_home import FIRST_THREE, FileSets, opened_home, process, refuse_differences
from sensor_streams.incremental import regions, transactions
from sensor_streams.incremental.time_slots import TimeSlots
from sensor_streams.ingest import batch as ingest
from sensor_streams.ingest import landing_scope

# Owner and name of a function, and the phase that ends with it. The time between two functions belongs to the later.
_ENDS: list[tuple[ModuleType | type, str, str]] = [
    (ingest, "read_files", "read and parse the lines"),
    (ingest, "_count", "decide each line, next to the stored ones"),
    (TimeSlots, "touched", "find the touched slots"),
    (transactions, "_execute", "write: append or MERGE"),
    (landing_scope, "ingest_batch", "the rest"),
    (regions.RegionScope, "_process", "the rest"),
]


class Clock:
    """Seconds by phase of one batch."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = 0.0

    def begin(self) -> None:
        """Begin the batch."""
        self._last = time.monotonic()

    def end(self, phase: str) -> None:
        """End the current phase."""
        now = time.monotonic()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._last
        self._last = now

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time the functions inside the `with` block."""
        # Before a write, its rows are computed and compared with the stored ones.
        before: dict[str, Callable[[], None]] = {
            "_execute": partial(self.end, "compute and compare"),
            "ingest_batch": self.begin,
            "_process": self.begin,
        }
        with ExitStack() as stack:
            for owner, name, phase in _ENDS:
                stack.enter_context(_around(owner, name, before.get(name), partial(self.end, phase)))
            yield


@contextmanager
def _around(
    owner: ModuleType | type, name: str, before: Callable[[], None] | None, after: Callable[[], None]
) -> Iterator[None]:
    function = getattr(owner, name)

    def timed(*given: Any, **named: Any) -> Any:
        if before:
            before()
        result = function(*given, **named)
        after()
        return result

    with patch.object(owner, name, timed):
        yield


def run(folder: Path, rounds: int) -> Result:
    """Measure the phases of the first three streams in batches of 250,000 lines."""
    home = opened_home(folder / "home", folder / "landing")
    files = FileSets.simulated(home.fleet, folder, rounds + 1, LARGE)
    found: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        files.land()
        for stream in FIRST_THREE:
            clock = Clock()
            with clock.watching():
                process(home, [stream])
            say(f"round {number}: {stream}: " + ", ".join(f"{n} {s:.1f} s" for n, s in clock.seconds.items()))
            for name, seconds in clock.seconds.items() if number else ():
                found.setdefault(f"{stream}: {name}, s", []).append(seconds)
    return Result(values=found, figures={"differing": refuse_differences(home.verify())})


MEASUREMENTS = [Measurement("phases", "phases of a large batch", 5, run, rounds=3, by_default=False)]
