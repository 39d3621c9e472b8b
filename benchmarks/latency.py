"""Latency (P6): from a landed file to its alert, next to a bare chain of as many hops.

A file of 1,000 lines lands each second. It has the readings of 247 pumps, the next ones of a fleet of 74,100 that
report every five minutes (the period of sensors.yml), and those of one pump that was offline: three hours, with
readings far from normal. Its last lines alone open an alert: the rule `unusual` needs two windows beyond its limit, and
a newer window. So each file has one alert of its own. Measured is the time from the rename of the file into the landing
folder to the commit with which its alert is readable in the table `alerts`.

The bare chain has one table for each table on this path: readings, sensor_features, device_features, anomaly_scores,
alerts. A text source is appended to the first, and each one to the next, without any work. Time ends at the commit with
which the file's lines are readable in the last table. Both chains get equal files at the same pace, in the same
session, one after the other, with a trigger of one second for each query. Some files land before, to warm it up.

    BENCH_SECONDS=300 make bench ARGS="--only P6"       # files land for five minutes instead of one
"""

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

from delta import DeltaTable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks.measurement import Measurement, Ratio, Result
from benchmarks.record import say, spread
from benchmarks.simulated_home import refuse_differences
from benchmarks.trained_home import History, trained_home
from sensor_streams.fleet import Fleet
from sensor_streams.runtime.supervisor import RunInterruptedError
from sensor_streams.runtime.task import run_task
from sensor_streams.runtime.worker import Worker
from sensor_streams_dev.local_home import LocalHome

# One lands each second.
FILES = int(os.environ.get("BENCH_SECONDS", "60"))
# The JVM compiles while these land: some turns, each of some files at once.
WARM_TURNS, WARM_FILES = 3, 4
PUMPS, CYCLE = 247, 300
HISTORY = History(days=8, mean_life=timedelta(days=2))
HOPS = ("readings", "sensor_features", "device_features", "anomaly_scores", "alerts")
TRIGGER = "1 s"
# Longest time to wait until all files that landed have arrived.
DEADLINE = 900.0
# Seconds between two looks at the last table while waiting; each look is a small query.
POLL = 3.0
_LATE = "pump-late-"


@dataclass
class Feed:
    """Lands files, one per second, and records when. arrived: returns pump and time (s since 1970) of each commit."""

    fleet: Fleet
    landing: Path
    arrived: Callable[[], DataFrame]
    round: int
    landed: dict[str, float] = field(default_factory=dict)

    def run(self) -> list[float]:
        """Warm up, land the measured files, wait for all; return the latency of each, in seconds."""
        self.landing.mkdir(parents=True, exist_ok=True)
        for _turn in range(WARM_TURNS):
            for _file in range(WARM_FILES):
                self._land()
            self._wait()
        warm, begin, clock = len(self.landed), time.monotonic(), threading.Event()
        for number in range(FILES):
            clock.wait(max(0.0, begin + number - time.monotonic()))
            self._land()
        say(f"{FILES} files have landed")
        self._wait()
        times = {
            row["pump"]: row["at"] for row in self.arrived().groupBy("pump").agg(F.min("at").alias("at")).collect()
        }
        return [times[pump] - at for pump, at in list(self.landed.items())[warm:]]

    def _land(self) -> None:
        number = len(self.landed)
        pump = f"{_LATE}{self.round}-{number:04d}"
        file = self.landing / f"{self.round}-{number:04d}.json"
        draft = self.landing.with_name(f"{file.name}.draft")
        draft.write_bytes(lines(self.fleet, number, datetime.now(UTC), pump))
        self.landed[pump] = time.time()
        draft.rename(file)

    def _wait(self) -> None:
        poll, deadline = threading.Event(), time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            poll.wait(POLL)
            if self.arrived().select("pump").distinct().count() >= len(self.landed):
                return
        raise TimeoutError(f"{len(self.landed)} files landed, and some did not arrive in {DEADLINE:.0f} s")


def lines(fleet: Fleet, number: int, now: datetime, late: str) -> bytes:
    """Return the lines of one file: current readings of `PUMPS` pumps, and three hours of the pump `late`."""
    chance = random.Random(number)
    kind = next(iter(fleet.device_types.values()))
    found = []

    def add(pump: str, at: datetime, level: float) -> None:
        for name in kind.sensors:
            sensor = fleet.sensors[name]
            low, high = sensor.range or (0.0, 100.0)
            value = round(low + (high - low) * (level + chance.gauss(0.0, 0.008)), 4)
            reading = {"device_id": pump, "sensor": name, "event_time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
            found.append(json.dumps({**reading, "value": value, "unit": sensor.unit}))

    for at in range(PUMPS):
        add(f"pump-{number % CYCLE * PUMPS + at:05d}", now, 0.3)
    long = fleet.windows.long
    hour = datetime.fromtimestamp(now.timestamp() // fleet.long_seconds * fleet.long_seconds, UTC)
    for back in (3, 2, 1):
        add(late, hour - back * long, 0.95)
    return "".join(f"{line}\n" for line in found).encode()


def _commits(home: LocalHome, table: str, pump: str, where: str) -> DataFrame:
    """Return pump and commit time of the rows that a table got, from its change feed. where: SQL that selects rows."""
    feed = home.spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", 0)
    rows = feed.load(table).where(where)
    return rows.select(F.expr(pump).alias("pump"), (F.unix_millis("_commit_timestamp") / 1000).alias("at"))


def streams(home: LocalHome, number: int) -> list[float]:
    """Run all eight streams while files land; return the latencies."""
    place = Path(home.settings.tables or "") / "alerts"

    def arrived() -> DataFrame:
        return _commits(home, str(place), "device_id", f"rule = 'unusual' AND device_id LIKE '{_LATE}{number}-%'")

    feed = Feed(home.fleet, Path(home.settings.landing), arrived, number)
    found: list[float] = []
    errors: list[Exception] = []

    def feeding() -> None:
        try:
            found.extend(feed.run())
        except Exception as error:
            errors.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=feeding, daemon=True)

    def on_start(_: Sequence[Worker]) -> None:
        thread.start()

    settings = home.settings.model_copy(update={"trigger": TRIGGER})
    with contextlib.suppress(RunInterruptedError):
        run_task(home.spark, settings, (), fleet=home.fleet, on_start=on_start)
    thread.join()
    if errors:
        raise errors[0]
    return found


def bare_chain(home: LocalHome, folder: Path, number: int) -> list[float]:
    """Run queries that only append while the same files land; return the latencies."""
    spark, landing = home.spark, folder / "landing"
    landing.mkdir(parents=True)
    places = [str(folder / name) for name in HOPS]
    for place in places:
        create = DeltaTable.create(spark).location(place).addColumn("value", "STRING")
        # For `_commits`. An append writes no more files with it.
        create.property("delta.enableChangeDataFeed", "true").execute()
    queries = []
    for source, target in zip([None, *places], places, strict=False):
        stream = (
            spark.readStream.text(str(landing)) if source is None else spark.readStream.format("delta").load(source)
        )
        writer = stream.writeStream.format("delta").option("checkpointLocation", f"{target}_checkpoint")
        queries.append(writer.trigger(processingTime="1 second").start(target))
    name = f"regexp_extract(value, '{_LATE}{number}-[0-9]+', 0)"
    try:
        return Feed(
            home.fleet, landing, lambda: _commits(home, places[-1], name, f"value LIKE '%{_LATE}{number}-%'"), number
        ).run()
    finally:
        for query in queries:
            query.stop()


def run(folder: Path, rounds: int) -> Result:
    """Measure both chains in turns."""
    home, _ = trained_home(folder, HISTORY)
    found: dict[str, list[list[float]]] = {"streams": [], "bare chain": []}
    for number in range(rounds):
        found["streams"].append(streams(home, number))
        found["bare chain"].append(bare_chain(home, folder / f"bare-{number}", number))
        for name, by_round in found.items():
            say(f"{name}: p95 {_p95(by_round[-1]):.1f} s, {spread(by_round[-1])}")
    # The stop may have come before the last batch.
    run_task(home.spark, home.settings, (), fleet=home.fleet)
    differing = refuse_differences(home.verify())
    ours, bare = ([_p95(one) for one in by_round] for by_round in found.values())
    name = "p95 from file to alert, 1,000 readings/s: eight streams / bare chain of five appends"
    ratio = Ratio(name, ours, bare, "s", "≤ 1.5")
    all_values = {name: spread([value for one in by_round for value in one]) for name, by_round in found.items()}
    return Result([ratio], figures={"seconds": all_values, "files": FILES, "hops": len(HOPS), "differing": differing})


def _p95(values: Sequence[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1]


MEASUREMENTS = [Measurement("P6", f"latency, 1,000 readings/s for {FILES} s", 10, run, rounds=1)]
