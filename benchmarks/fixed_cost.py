"""Fixed cost of a batch (P0): seconds of a batch of 1,000 lines by stream, next to bare streams that only append.

    make bench-fixed                      # 6 rounds of 4 files, 12 minutes
    make bench-fixed ARGS="--rounds 2"

In each round a task runs all eight streams with a short trigger, and a file of 1,000 lines lands when the one before
has passed through all of them. Then eight bare streams (`foreachBatch`, append to Delta) write the same rows, commit by
commit. The first batch of each stream in a round is left out.
"""

import argparse
import contextlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from benchmarks.record import say, spread, write
from sensor_streams.failures import load_failures
from sensor_streams.runtime.progress import BatchFigures
from sensor_streams.runtime.supervisor import RunInterruptedError
from sensor_streams.runtime.task import run_task
from sensor_streams.runtime.worker import Worker
from sensor_streams.streams import BY_NAME
from sensor_streams_dev.local_home import LocalHome
from sensor_streams_dev.simulate import Simulation, simulate

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
# 12 devices with 4 sensors every 5 minutes: 1,000 lines.
EVERY = timedelta(minutes=104)
HISTORY = 16
# Without a batch for this long, a file has passed through all streams.
QUIET, DEADLINE = 3.0, 120.0


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

    def wait(self, workers: list[Worker]) -> None:
        """Wait until no stream has had a batch for `QUIET` seconds after this file was read."""
        before, deadline = self.seen, time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            busy = any(worker.in_batch for worker in workers)
            if self.seen > before and not busy and time.monotonic() - self.last_batch > QUIET:
                return
            time.sleep(0.1)
        raise TimeoutError(f"a file did not pass through the streams in {DEADLINE:.0f} s")


def ours(home: LocalHome, feed: Feed, files: int) -> dict[str, list[float]]:
    """Run all streams in one task; land files one by one; return the seconds of each batch."""
    seconds: dict[str, list[float]] = {}
    workers: list[Worker] = []

    def on_batch(figures: BatchFigures) -> None:
        feed.last_batch = time.monotonic()
        feed.seen += figures.stream == "readings"
        seconds.setdefault(figures.stream, []).append(figures.seconds)

    def feeding() -> None:
        try:
            for _ in range(files + 1):
                feed.land()
                feed.wait(workers)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=feeding, daemon=True)

    def on_start(new: Sequence[Worker]) -> None:
        workers[:] = new
        thread.start()

    settings = home.settings.model_copy(update={"trigger": "1 s"})
    with contextlib.suppress(RunInterruptedError):
        run_task(home.spark, settings, (), fleet=home.fleet, on_batch=on_batch, on_start=on_start)
    thread.join()
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
    shutil.rmtree(folder, ignore_errors=True)
    local = {"landing": str((folder / "landing").absolute()), "max_files": 1}
    home = LocalHome.open(Path("local.yml"), local, home=folder, log_name="bench")
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


def main() -> None:
    """Measure, print, and write `results/P0.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--files", type=int, default=4, help="files per round")
    parser.add_argument("--folder", type=Path, default=Path(".local/bench-fixed"))
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error("--rounds: at least 2, because the first one warms the JVM up")
    home, feed = prepared(options.folder, options.rounds * (options.files + 1))
    load = os.getloadavg()[0]
    both: dict[str, dict[str, list[float]]] = {"ours": {}, "bare": {}}
    for number in range(options.rounds):
        since = {name: version(home, name) for name in BY_NAME}
        parts = {
            "ours": _timed("the streams", number, lambda: ours(home, feed, options.files)),
            "bare": _timed("bare", number, lambda: bare(home, options.folder / f"bare-{number}", since)),  # noqa: B023
        }
        # The first round warms the JVM up.
        for form, found in parts.items() if number else ():
            for name, values in found.items():
                both[form].setdefault(name, []).extend(values)
    # The stop may have come before the last batch.
    run_task(home.spark, home.settings, (), fleet=home.fleet)
    differing = sum(check.differing for check in home.verify())
    figures = {form: {name: spread(v) for name, v in found.items() if v} for form, found in both.items()}
    shared = figures["ours"].keys() & figures["bare"].keys()
    sums = {form: round(sum(float(found[n]["median"]) for n in shared), 2) for form, found in figures.items()}
    ratio = round(sums["ours"] / sums["bare"], 2)
    file = write("P0", load, {"seconds": figures, "sums": sums, "ratio": ratio, "differing": differing})
    table = Table("stream", "seconds (min to max)", "bare append")
    for name, one in figures["ours"].items():
        base = figures["bare"].get(name)
        shown = "" if base is None else f"{base['median']:.2f}"
        table.add_row(name, f"{one['median']:.2f} ({one['min']:.2f} to {one['max']:.2f})", shown)
    Console().print(table)
    Console().print(f"sum {sums['ours']:.1f} s, bare {sums['bare']:.1f} s, ratio {ratio}; load {load:.1f}")
    Console().print(f"verify: {differing} rows differ; written to {file}")


def _timed(what: str, number: int, run: Callable[[], dict[str, list[float]]]) -> dict[str, list[float]]:
    begin = time.monotonic()
    found = run()
    say(f"round {number}, {what}: {time.monotonic() - begin:.0f} s")
    return found


if __name__ == "__main__":
    main()
