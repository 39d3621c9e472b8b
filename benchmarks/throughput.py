"""Rows per second and peak memory by stream, beside the plain watermark form of streams 1 to 3 in the same run.

    make bench                                   # a million readings
    make bench ARGS="--readings 4000000"         # does memory stay flat?
    make bench ARGS="--readings 200000 --json"

Both forms read the same files with the same batches on the same session, one after the other.
"""

import argparse
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from sensor_streams.failures import load_failures
from sensor_streams.local.workspace import Workspace
from sensor_streams.runtime.progress import BatchFigures
from sensor_streams.runtime.task import run_task
from sensor_streams.runtime.worker import Worker
from sensor_streams.simulate import Simulation, simulate
from sensor_streams.streams import BY_NAME

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
FIRST_THREE = ("readings", "sensor_features", "device_features")


@dataclass
class Measured:
    """One stream: its input's readings per second and the greatest memory of all processes while it ran, MB."""

    stream: str
    form: str
    seconds: float
    readings_per_second: float
    peak_mb: float


class Memory:
    """Resident memory of this process and its children (JVM, Python workers), the greatest by what was running."""

    def __init__(self, running: Callable[[], list[str]]) -> None:
        self.running = running
        self.peaks: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        own = psutil.Process(os.getpid())
        while not self._stop.wait(0.25):
            total = 0.0
            for process in [own, *own.children(recursive=True)]:
                try:
                    total += process.memory_info().rss / 1e6
                except psutil.NoSuchProcess:
                    continue
            for name in self.running():
                self.peaks[name] = max(self.peaks.get(name, 0.0), total)


def recomputed(workspace: Workspace, readings: int, failures: Path) -> list[Measured]:
    """All eight streams of the project, drained."""
    workers: list[Worker] = []
    seconds: dict[str, float] = {}

    def started(new: object) -> None:
        workers[:] = list(new) if isinstance(new, list) else []

    def batch(figures: BatchFigures) -> None:
        seconds[figures.stream] = seconds.get(figures.stream, 0.0) + figures.seconds

    def running() -> list[str]:
        return [worker.stream.name for worker in workers if worker.active]

    with Memory(running) as memory:
        for task in ("feature_extraction", "inference"):
            run_task(
                workspace.spark, workspace.settings, [task], fleet=workspace.fleet, on_batch=batch, on_start=started
            )
            if task == "feature_extraction":
                load_failures(workspace.catalog, failures)
                workspace.train()
    return [
        Measured(name, "recomputed", seconds[name], readings / seconds[name], memory.peaks.get(name, 0.0))
        for name in BY_NAME
        if name in seconds
    ]


def watermarked(workspace: Workspace, folder: Path, readings: int) -> list[Measured]:
    """Streams 1 to 3 as one would write them first: from_json, watermarks, append."""
    spark, fleet = workspace.spark, workspace.fleet

    def table(name: str) -> DataFrame:
        return spark.readStream.format("delta").load(str(folder / name))

    def long_windows() -> DataFrame:
        rows = (
            table("sensor_features").withColumn("value", F.col("mean")).withColumn("event_time", F.col("window_start"))
        )
        return _windows(rows.select("device_id", "sensor", "event_time", "value"), f"{fleet.long_seconds} seconds")

    sources: dict[str, Callable[[], DataFrame]] = {
        "readings": lambda: _readings(spark, workspace),
        "sensor_features": lambda: _windows(table("readings"), f"{fleet.short_seconds} seconds"),
        "device_features": long_windows,
    }
    found = []
    for name, source in sources.items():
        running = [name]
        with Memory(running.copy) as memory:
            begun = time.monotonic()
            writer = (
                source().writeStream.format("delta").option("checkpointLocation", str(folder / f"{name}_checkpoint"))
            )
            writer.trigger(availableNow=True).start(str(folder / name)).awaitTermination()
            seconds = time.monotonic() - begun
        found.append(Measured(name, "watermark", seconds, readings / seconds, memory.peaks.get(name, 0.0)))
    return found


def _readings(spark: SparkSession, workspace: Workspace) -> DataFrame:
    schema = "device_id string, sensor string, event_time timestamp, value double, unit string"
    text = spark.readStream.option("maxFilesPerTrigger", workspace.settings.max_files).text(workspace.settings.landing)
    rows = text.select(F.from_json("value", schema).alias("r")).select("r.*").where("event_time IS NOT NULL")
    keyed = rows.withWatermark("event_time", "1 hour")
    return keyed.dropDuplicatesWithinWatermark(["device_id", "sensor", "event_time"])


def _windows(rows: DataFrame, length: str) -> DataFrame:
    window = F.window("event_time", length).alias("w")
    grouped = rows.withWatermark("event_time", "10 minutes").groupBy("device_id", "sensor", window)
    return (
        grouped.agg(
            F.count("*").alias("count"),
            F.avg("value").alias("mean"),
            F.stddev_samp("value").alias("deviation"),
            F.min("value").alias("min"),
            F.max("value").alias("max"),
            F.max_by("value", "event_time").alias("last"),
        )
        .withColumn("window_start", F.col("w.start"))
        .drop("w")
    )


def main() -> None:
    """Simulate, run both forms, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, default=1_000_000)
    parser.add_argument("--devices", type=int, default=40)
    parser.add_argument("--batches", type=int, default=4, help="batches that the readings arrive in")
    parser.add_argument("--folder", type=Path, default=Path(".local/bench"))
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    shutil.rmtree(told.folder, ignore_errors=True)
    local = {"landing": str((told.folder / "landing").absolute()), "max_files": 1}
    workspace = Workspace.open(Path("local.yml"), local, home=told.folder, log_name="bench")
    fleet = workspace.fleet
    per_day = told.devices * sum(86400 / s.period.total_seconds() for s in fleet.sensors.values())
    days = told.readings / per_day
    simulation = Simulation(
        fleet, origin=ORIGIN, devices=told.devices, files_every=timedelta(seconds=int(days * 86400 / told.batches) + 1)
    )
    failures = told.folder / "failures.jsonl"
    written = simulate(simulation, told.folder / "landing", ORIGIN, ORIGIN + timedelta(days=days), failures=failures)
    load = os.getloadavg()[0]
    ours = recomputed(workspace, written.lines, failures)
    plain = watermarked(workspace, told.folder / "plain", written.lines)
    differing = sum(check.differing for check in workspace.verify())
    ratio = sum(m.seconds for m in plain) / sum(m.seconds for m in ours if m.stream in FIRST_THREE)
    if told.json:
        print(
            json.dumps(
                {
                    "readings": written.lines,
                    "files": written.files,
                    "load": load,
                    "differing": differing,
                    "ratio": ratio,
                    "streams": [asdict(m) for m in [*ours, *plain]],
                }
            )
        )
        return
    table = Table("stream", "form", "seconds", "readings/s", "peak MB")
    for m in [*ours, *plain]:
        table.add_row(m.stream, m.form, f"{m.seconds:.1f}", f"{m.readings_per_second:,.0f}", f"{m.peak_mb:,.0f}")
    console = Console()
    console.print(table)
    console.print(
        f"{written.lines:,} readings in {written.files} files; load {load:.1f}; verify: {differing} rows differ"
    )
    console.print(f"streams 1 to 3, recomputed: {ratio:.2f} of the watermark form's speed")


if __name__ == "__main__":
    main()
