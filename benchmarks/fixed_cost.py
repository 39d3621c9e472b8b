"""Fixed cost of a batch (P0): seconds of a batch of 1,000 lines by stream, next to bare streams that only append.

In each round a task runs all eight streams with a short trigger, and a file of 1,000 lines lands when the one before
has passed through all of them. Then eight bare streams (`foreachBatch`, append to Delta) write the same rows, commit by
commit. The first batch of each stream in a round is left out.
"""

import os
import signal
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks.measurement import Measurement, Ratio, Result
from benchmarks.record import say, spread
from benchmarks.simulated_home import ORIGIN, opened_home, refuse_differences
from sensor_streams.failures import load_failures
from sensor_streams.runtime.progress import BatchFigures
from sensor_streams.runtime.supervisor import RunInterruptedError
from sensor_streams.runtime.task import run_task
from sensor_streams.runtime.worker import Worker
from sensor_streams.streams import BY_NAME
from sensor_streams_dev.local_home import LocalHome
from sensor_streams_dev.simulate import Simulation, simulate

# 12 devices with 4 sensors every 5 minutes: 1,000 lines.
EVERY = timedelta(minutes=104)
HISTORY = 16
FILES_PER_ROUND = 3
# Without a batch for this long, a file has passed through all streams.
QUIET, DEADLINE = 3.0, 300.0


@dataclass
class Feed:
    """Files that wait outside the landing folder; `land` moves the next one into it."""

    waiting: list[Path]
    landing: Path
    last_batch: float = field(default_factory=time.monotonic)
    seen: int = 0

    def land(self, number: int = 1) -> None:
        """Land the next files."""
        for _ in range(number):
            file = self.waiting.pop(0)
            file.rename(self.landing / file.name)

    def wait(self, workers: list[Worker], ended: threading.Event) -> bool:
        """Wait until no stream has had a batch for `QUIET` seconds after this file was read; False if the run ended.

        Raises TimeoutError.
        """
        before, deadline = self.seen, time.monotonic() + DEADLINE
        while not ended.wait(0.1):
            busy = any(worker.in_batch for worker in workers)
            if self.seen > before and not busy and time.monotonic() - self.last_batch > QUIET:
                return True
            if time.monotonic() > deadline:
                raise TimeoutError(f"a file did not pass through the streams in {DEADLINE:.0f} s")
        return False


def ours(home: LocalHome, feed: Feed, files: int) -> dict[str, list[float]]:
    """Run all streams in one task; land files one by one; return the seconds of each batch.

    Raises TimeoutError when a file does not pass through the streams in time.
    """
    seconds: dict[str, list[float]] = {}
    workers: list[Worker] = []
    ended = threading.Event()

    def on_batch(figures: BatchFigures) -> None:
        feed.last_batch = time.monotonic()
        feed.seen += figures.stream == "readings"
        seconds.setdefault(figures.stream, []).append(figures.seconds)

    def feeding() -> bool:
        """Land the files; return False if the run ended before."""
        try:
            for _ in range(files + 1):
                feed.land()
                if not feed.wait(workers, ended):
                    return False
            return True
        finally:
            if not ended.is_set():
                os.kill(os.getpid(), signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        fed: list[Future[bool]] = []

        def on_start(new: Sequence[Worker]) -> None:
            workers[:] = new
            fed.append(pool.submit(feeding))

        try:
            # Batches may finish, also on a loaded machine.
            update = {"trigger": "1 s", "stop_deadline": timedelta(minutes=2)}
            settings = home.settings.model_copy(update=update)
            run_task(home.spark, settings, (), fleet=home.fleet, on_batch=on_batch, on_start=on_start)
        except RunInterruptedError:
            ended.set()
            if not fed[0].result():
                # The signal came from the user.
                raise
        finally:
            ended.set()
    return {name: values[1:] for name, values in seconds.items()}


def bare(home: LocalHome, folder: Path, since: dict[str, int]) -> dict[str, list[float]]:
    """Append the rows that each stream wrote since a version, commit by commit; return the seconds of each batch."""
    found = {}
    for name in BY_NAME:
        if version(home, name) <= since[name]:
            continue
        reader = home.spark.read.option("readChangeFeed", "true").option("startingVersion", since[name] + 1)
        changed = reader.table(home.catalog.full_name(name)).where("_change_type IN ('insert', 'update_postimage')")
        source, target = str(folder / f"{name}-source"), str(folder / f"{name}-target")
        versions = sorted(row[0] for row in changed.select("_commit_version").distinct().collect())
        for one in versions:
            rows = changed.where(F.col("_commit_version") == one).drop(
                "_change_type", "_commit_version", "_commit_timestamp"
            )
            rows.coalesce(1).write.format("delta").mode("append").save(source)
        found[name] = _append(home, source, target, str(folder / f"{name}-checkpoint"))[1:]
    return found


def _append(home: LocalHome, source: str, target: str, checkpoint: str) -> list[float]:
    def write_batch(rows: DataFrame, _: int) -> None:
        rows.write.format("delta").mode("append").save(target)

    stream = home.spark.readStream.format("delta").option("maxFilesPerTrigger", 1).load(source)
    query = (
        stream.writeStream.foreachBatch(write_batch)
        .option("checkpointLocation", checkpoint)
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    return [p["durationMs"]["triggerExecution"] / 1000 for p in query.recentProgress if p["numInputRows"]]


def version(home: LocalHome, table: str) -> int:
    """Return the latest version of a table."""
    row = home.catalog.handle(table).history(1).select("version").first()
    assert row is not None
    return int(row[0])


def prepared(folder: Path, files: int) -> tuple[LocalHome, Feed]:
    """Return a home with a history and trained models, and files that have not landed."""
    home = opened_home(folder / "home", folder / "landing", max_files=1)
    end = ORIGIN + EVERY * (HISTORY + files)
    # Short lives, so that the history has failures to learn from, and alerts.
    life = timedelta(hours=10)
    simulation = Simulation(home.fleet, origin=ORIGIN, devices=12, files_every=EVERY, mean_life=life)
    simulate(simulation, folder / "waiting", ORIGIN, end, failures=folder / "failures.jsonl")
    (folder / "landing").mkdir(parents=True)
    feed = Feed(sorted((folder / "waiting").rglob("*.json")), folder / "landing")
    feed.land(HISTORY)
    say(f"{HISTORY} files of history, training")
    whole = home.settings.model_copy(update={"max_files": 500})
    run_task(home.spark, whole, ["feature_extraction"], fleet=home.fleet)
    load_failures(home.catalog, folder / "failures.jsonl")
    home.train()
    run_task(home.spark, whole, ["inference"], fleet=home.fleet)
    return home, feed


def fixed_cost(folder: Path, rounds: int, files: int = FILES_PER_ROUND) -> Result:
    """Measure all streams and the bare ones in turns, `files` files per round; a first round warms up the JVM."""
    home, feed = prepared(folder, (rounds + 1) * (files + 1))
    found: dict[str, list[dict[str, list[float]]]] = {"ours": [], "bare": []}
    for number in range(rounds + 1):
        since = {name: version(home, name) for name in BY_NAME}
        found["ours"].append(ours(home, feed, files))
        found["bare"].append(bare(home, folder / f"bare-{number}", since))
        sums = _sums(found["ours"][-1], found["bare"][-1])
        say(f"round {number}: {sums[0]:.1f} s in total, bare {sums[1]:.1f} s")
    # The stop may have come before the last batch.
    run_task(home.spark, home.settings, (), fleet=home.fleet)
    pairs = [_sums(own, other) for own, other in zip(found["ours"][1:], found["bare"][1:], strict=True)]
    ratio = Ratio(
        name="sum of the seconds of a batch over the streams / over bare streams that append the same rows",
        ours=[own for own, _ in pairs],
        other=[other for _, other in pairs],
        unit="s",
        goal="≤ 2",
    )
    figures = {
        "seconds": {form: _by_stream(some[1:]) for form, some in found.items()},
        "differing": refuse_differences(home.verify()),
    }
    return Result([ratio], figures=figures)


def _sums(own: dict[str, list[float]], other: dict[str, list[float]]) -> tuple[float, float]:
    """Return the sums of the medians of both forms, over the streams that both have."""
    # `alert_events` may write nothing in a round: then it has no bare stream.
    shared = [name for name in BY_NAME if own.get(name) and other.get(name)]
    return sum(statistics.median(own[n]) for n in shared), sum(statistics.median(other[n]) for n in shared)


def _by_stream(rounds: Sequence[dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    """Return the spread of the seconds of all rounds, by stream."""
    whole = {name: [value for one in rounds for value in one.get(name, [])] for name in BY_NAME}
    return {name: spread(values) for name, values in whole.items() if values}


MEASUREMENTS = [Measurement("P0", "fixed cost of a batch of 1,000 lines", 10, fixed_cost)]
