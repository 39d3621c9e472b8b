"""Readings per second and peak memory by stream, compared with plain watermark versions of streams 1 to 3.

    make bench                                   # one million readings
    make bench ARGS="--readings 4000000"         # does memory stay flat?
    make bench ARGS="--readings 200000 --json"

Both versions read the same files in the same batches in the same Spark session, one after the other.
"""

import argparse
import json
import operator
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import psutil
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from benchmarks.record import say, write
from sensor_streams.failures import load_failures
from sensor_streams.features.sensor import expected_readings
from sensor_streams.fleet import Fleet
from sensor_streams.runtime.progress import BatchFigures
from sensor_streams.runtime.task import run_task
from sensor_streams.runtime.worker import Worker
from sensor_streams.streams import BY_NAME
from sensor_streams_dev.local_home import LocalHome
from sensor_streams_dev.simulate import Simulation, simulate

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
# Files per batch, from the landing folder and from the change feeds of the tables.
FILES = 10
FIRST_THREE = ("readings", "sensor_features", "device_features")


@dataclass
class Measured:
    """Figures of one stream: readings per second, and peak memory of all processes while it ran (MB)."""

    stream: str
    form: str
    seconds: float
    readings_per_second: float
    peak_mb: float


class Memory:
    """Peak memory of this process and its children (JVM, Python workers), by running stream.

    On Linux, shared memory counts once, because a process that the JVM forks briefly shares all of its memory.
    """

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
                    memory = process.memory_full_info()
                    total += getattr(memory, "pss", memory.rss) / 1e6
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
            for name in self.running():
                self.peaks[name] = max(self.peaks.get(name, 0.0), total)


def recomputed(workspace: LocalHome, readings: int, failures: Path) -> list[Measured]:
    """Run all eight streams of the project until their input is processed."""
    workers: list[Worker] = []
    seconds: dict[str, float] = {}

    def started(new: Sequence[Worker]) -> None:
        workers[:] = new

    def batch(figures: BatchFigures) -> None:
        seconds[figures.stream] = seconds.get(figures.stream, 0.0) + figures.seconds
        say(f"{figures.stream}: batch {figures.batch_id}, {figures.rows_in:,} in, {figures.seconds:.1f} s")

    def running() -> list[str]:
        return [worker.stream.name for worker in workers if worker.active]

    with Memory(running) as memory:
        for task in ("feature_extraction", "inference"):
            run_task(
                workspace.spark, workspace.settings, [task], fleet=workspace.fleet, on_batch=batch, on_start=started
            )
            if task == "feature_extraction":
                load_failures(workspace.catalog, failures)
                say("training")
                workspace.train()
    return [
        Measured(name, "recomputed", seconds[name], readings / seconds[name], memory.peaks.get(name, 0.0))
        for name in BY_NAME
        if name in seconds
    ]


def watermarked(workspace: LocalHome, folder: Path, readings: int) -> list[Measured]:
    """Run simple versions of streams 1 to 3: from_json, watermarks, append mode, the same statistics per window.

    They omit rejected lines, counts by file, conflicts, look-back and trends, late readings, and windows that are
    still open at the end.
    """
    spark, fleet = workspace.spark, workspace.fleet

    def table(name: str) -> DataFrame:
        return spark.readStream.format("delta").option("maxFilesPerTrigger", FILES).load(str(folder / name))

    sources: dict[str, Callable[[], DataFrame]] = {
        "readings": lambda: _readings(spark, workspace),
        "sensor_features": lambda: _sensor_features(table("readings"), fleet),
        "device_features": lambda: _device_features(table("sensor_features"), fleet),
    }
    found = []
    for name, source in sources.items():
        running = [name]
        with Memory(running.copy) as memory:
            start = time.monotonic()
            writer = (
                source().writeStream.format("delta").option("checkpointLocation", str(folder / f"{name}_checkpoint"))
            )
            writer.trigger(availableNow=True).start(str(folder / name)).awaitTermination()
            seconds = time.monotonic() - start
        say(f"{name}: watermark version, {seconds:.1f} s")
        found.append(Measured(name, "watermark", seconds, readings / seconds, memory.peaks.get(name, 0.0)))
    return found


def _readings(spark: SparkSession, workspace: LocalHome) -> DataFrame:
    schema = "device_id string, sensor string, event_time timestamp, value double, unit string, sequence bigint"
    text = spark.readStream.option("maxFilesPerTrigger", FILES).text(workspace.settings.landing)
    rows = text.select(F.from_json("value", schema).alias("r")).select("r.*").where("event_time IS NOT NULL")
    ranges = [
        (F.col("sensor") == name) & F.col("value").between(*(sensor.range or (float("-inf"), float("inf"))))
        for name, sensor in workspace.fleet.sensors.items()
    ]
    good = rows.where(reduce(operator.or_, ranges))
    keyed = good.withWatermark("event_time", "1 hour")
    return keyed.dropDuplicatesWithinWatermark(["device_id", "sensor", "event_time", "sequence"])


def _sensor_features(readings: DataFrame, fleet: Fleet) -> DataFrame:
    window = F.window("event_time", f"{fleet.short_seconds} seconds").alias("w")
    grouped = readings.withWatermark("event_time", "10 minutes").groupBy("device_id", "sensor", window)
    return (
        grouped.agg(
            F.count("*").alias("count"),
            F.avg("value").alias("mean"),
            F.stddev_samp("value").alias("deviation"),
            F.min("value").alias("min"),
            F.max("value").alias("max"),
            F.max_by("value", "event_time").alias("last"),
            F.regr_slope(F.col("value"), F.unix_micros("event_time") / F.lit(3.6e9)).alias("slope"),
        )
        .withColumn("window_start", F.col("w.start"))
        .withColumn("share_missing", F.greatest(F.lit(0.0), 1 - F.col("count") / expected_readings(fleet)))
        .drop("w")
    )


def _device_features(short: DataFrame, fleet: Fleet) -> DataFrame:
    window = F.window("window_start", f"{fleet.long_seconds} seconds").alias("w")
    figures = []
    for name in fleet.sensors:
        own = {n: F.when(F.col("sensor") == name, F.col(n)) for n in short.columns}
        hours = F.unix_micros(own["window_start"]) / F.lit(3.6e9)
        figures += [
            F.try_divide(F.sum(own["mean"] * F.col("count")), F.sum(own["count"])).alias(f"{name}_mean"),
            F.stddev_samp(own["mean"]).alias(f"{name}_deviation"),
            F.min(own["min"]).alias(f"{name}_min"),
            F.max(own["max"]).alias(f"{name}_max"),
            F.max_by(own["last"], own["window_start"]).alias(f"{name}_last"),
            F.regr_slope(own["mean"], hours).alias(f"{name}_slope"),
            F.avg(own["share_missing"]).alias(f"{name}_missing"),
        ]
    grouped = short.withWatermark("window_start", "10 minutes").groupBy("device_id", window)
    return grouped.agg(F.sum("count").alias("count"), *figures).withColumn("window_start", F.col("w.start")).drop("w")


def simulated(options: argparse.Namespace, readings: int, folder: Path) -> tuple[LocalHome, int, int]:
    """Write `readings` readings to the landing folder of a new local home; return the home, lines and files."""
    # Both homes share the session and its catalog, so each has its own schema.
    local = {"landing": str((folder / "landing").absolute()), "max_files": FILES, "schema": folder.name}
    workspace = LocalHome.open(Path("local.yml"), local, home=folder, log_name="bench")
    fleet = workspace.fleet
    per_day = options.devices * sum(86400 / s.period.total_seconds() for s in fleet.sensors.values())
    days = readings / per_day
    say(f"simulating {readings:,} readings: {options.devices} devices, {days:.1f} days")
    batches = max(1, round(readings / options.batch))
    simulation = Simulation(
        fleet,
        origin=ORIGIN,
        devices=options.devices,
        files_every=timedelta(seconds=int(days * 86400 / batches / FILES) + 1),
    )
    end = ORIGIN + timedelta(days=days)
    written = simulate(simulation, folder / "landing", ORIGIN, end, failures=folder / "failures.jsonl")
    return workspace, written.lines, written.files


def main() -> None:
    """Simulate, run both versions, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, default=1_000_000)
    parser.add_argument("--devices", type=int, default=40)
    parser.add_argument("--batch", type=int, default=250_000, help="readings per batch")
    parser.add_argument("--folder", type=Path, default=Path(".local/bench"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    # The first batches of a process are three times slower, because the JVM is cold.
    say("warming up with both versions")
    warm, lines, _ = simulated(options, min(options.readings, options.batch), options.folder / "warm")
    recomputed(warm, lines, options.folder / "warm" / "failures.jsonl")
    watermarked(warm, options.folder / "warm" / "plain", lines)
    say("measuring")
    workspace, lines, files = simulated(options, options.readings, options.folder / "measured")
    load = os.getloadavg()[0]
    ours = recomputed(workspace, lines, options.folder / "measured" / "failures.jsonl")
    plain = watermarked(workspace, options.folder / "measured" / "plain", lines)
    say("verify")
    differing = sum(check.differing for check in workspace.verify())
    ratio = sum(m.seconds for m in plain) / sum(m.seconds for m in ours if m.stream in FIRST_THREE)
    figures: dict[str, Any] = {"readings": lines, "files": files, "load": load, "differing": differing, "ratio": ratio}
    figures["streams"] = [asdict(m) for m in [*ours, *plain]]
    file = write("P1", load, figures)
    if options.json:
        print(json.dumps(figures))
        return
    table = Table("stream", "form", "seconds", "readings/s", "peak MB")
    for m in [*ours, *plain]:
        table.add_row(m.stream, m.form, f"{m.seconds:.1f}", f"{m.readings_per_second:,.0f}", f"{m.peak_mb:,.0f}")
    console = Console()
    console.print(table)
    console.print(f"{lines:,} readings in {files} files; load {load:.1f}; verify: {differing} rows differ")
    console.print(f"streams 1 to 3, recomputed: {ratio:.2f} of the speed of the watermark version; written to {file}")


if __name__ == "__main__":
    main()
