"""Local home with simulated files that land in sets, and the cost of one set by stream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zlib import crc32

from benchmarks.memory import Memory
from benchmarks.record import spread
from sensor_streams.fleet import Fleet
from sensor_streams.runtime.progress import BatchFigures
from sensor_streams.runtime.task import run_task
from sensor_streams.verify import Check
from sensor_streams_dev.local_home import LocalHome
from sensor_streams_dev.simulate import Simulation, simulate

ROOT = Path(__file__).parents[1]
ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
DEVICES = 40
FILES_PER_SET = 10
FIRST_THREE = ("readings", "sensor_features", "device_features")


@dataclass(frozen=True)
class Processed:
    """Seconds of all batches and peak memory (MB), by stream, for one set of files."""

    seconds: Mapping[str, float]
    peak_mb: Mapping[str, float]

    @property
    def total(self) -> float:
        """Seconds of all streams."""
        return sum(self.seconds.values())


@dataclass
class FileSets:
    """Sets of files that wait outside the landing folder, in order of time.

    lines: of each file, by name. end: time at which the next sets may begin.
    """

    waiting: list[list[Path]]
    lines: Mapping[str, int]
    landing: Path
    end: datetime

    @classmethod
    def simulated(cls, fleet: Fleet, folder: Path, sets: int, lines: int, start: datetime = ORIGIN) -> "FileSets":
        """Simulate sets of about `lines` lines each; each set has later times than the one before.

        Files land in `folder`/landing. `folder`/failures.jsonl gets the failures, see `simulate`.
        """
        days = lines / _readings_per_day(simulation_of(fleet))
        simulation = simulation_of(fleet, timedelta(seconds=int(days * 86400 / FILES_PER_SET) + 1))
        end = start + simulation.files_every * FILES_PER_SET * sets
        waiting, landing = folder / f"waiting-{start:%Y%m%dT%H%M%S}", folder / "landing"
        report = simulate(simulation, waiting, start, end, failures=folder / "failures.jsonl")
        landing.mkdir(exist_ok=True)
        files = sorted(waiting.iterdir())
        # A span without readings has no file.
        bounds = [len(files) * number // sets for number in range(sets + 1)]
        counts = {name: kinds["lines"] for name, kinds in report.by_file.items()}
        return cls([files[low:high] for low, high in pairwise(bounds)], counts, landing, end)

    def land(self) -> int:
        """Land the next set; return its number of lines."""
        files = self.waiting.pop(0)
        for file in files:
            file.rename(self.landing / file.name)
        return sum(self.lines[file.name] for file in files)


def simulation_of(fleet: Fleet, files_every: timedelta = timedelta(hours=6)) -> Simulation:
    """Return the simulation of all measurements with large tables."""
    return Simulation(fleet, origin=ORIGIN, devices=DEVICES, files_every=files_every)


def opened_home(folder: Path, landing: Path, **settings: object) -> LocalHome:
    """Return a new home with the project's `local.yml` and `sensors.yml`; settings: other ones than those."""
    # All homes share the session and its catalog, so each has its own schema.
    schema = f"bench_{crc32(str(folder.absolute()).encode()):08x}"
    given = {"landing": str(landing.absolute()), "schema": schema, "preflight": "off", **settings}
    return LocalHome.open(ROOT / "local.yml", given, home=folder.absolute(), log_name="bench")


def process(home: LocalHome, streams: Sequence[str] = FIRST_THREE) -> Processed:
    """Let the streams process all landed files, in order, each in a run of its own.

    At the end of a run a thread writes the figures of its batches. In a common run, this would slow down the batch of
    the next stream. In a continuous run it happens every 30 s only.
    """
    seconds, peaks = dict[str, float](), dict[str, float]()
    for name in streams:
        batches: list[BatchFigures] = []
        with Memory([name].copy) as memory:
            run_task(home.spark, home.settings, [name], fleet=home.fleet, on_batch=batches.append)
        seconds[name] = sum(batch.seconds for batch in batches)
        peaks |= memory.peaks
    return Processed(seconds, peaks)


def refuse_differences(checks: Sequence[Check]) -> int:
    """Return 0, the number of rows that differ. Raises ValueError for rows that differ from their recomputation."""
    wrong = [f"{one.table}: {one.differing} rows differ, such as {one.examples}" for one in checks if one.differing]
    if wrong:
        raise ValueError(f"after the measurement, tables differ from their recomputation: {'; '.join(wrong)}")
    return 0


def summary(found: Sequence[Processed]) -> dict[str, object]:
    """Return the spread of the seconds and the greatest peak memory, by stream."""
    names = list(dict.fromkeys(name for one in found for name in one.seconds))
    seconds = {name: [one.seconds[name] for one in found if name in one.seconds] for name in names}
    return {
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "peak_mb": {name: round(max(one.peak_mb.get(name, 0.0) for one in found)) for name in seconds},
    }


def _readings_per_day(simulation: Simulation) -> float:
    fleet = simulation.fleet
    return sum(
        timedelta(days=1) / fleet.sensors[sensor].period
        for device in simulation.all_devices()
        for sensor in fleet.device_types[device.kind].sensors
    )
