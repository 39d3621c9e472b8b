"""Rivals without this project's guarantees: the watermark form of streams 1 to 3, and a stream without any check."""

import operator
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks.memory import Memory
from benchmarks.simulated_home import Processed
from sensor_streams.features.sensor import expected_readings
from sensor_streams.fleet import Fleet
from sensor_streams_dev.local_home import LocalHome

SCHEMA = "device_id string, sensor string, event_time timestamp, value double, unit string, sequence bigint"
# More than one set of files, so that a set is one batch, as in the streams of the project.
MAX_FILES = 500

# Functions that return the stream to write, by name of the table, in order.
Sources = Mapping[str, Callable[[], DataFrame]]


def watermark_form(home: LocalHome, folder: Path) -> Sources:
    """Return simple versions of streams 1 to 3: from_json, watermarks, append mode, the same statistics per window.

    They omit rejected lines, counts by file, conflicts, look-back and trends, late readings, and windows that are
    still open at the end. folder: of their tables.
    """

    def table(name: str) -> DataFrame:
        return home.spark.readStream.format("delta").option("maxFilesPerTrigger", MAX_FILES).load(str(folder / name))

    return {
        "readings": lambda: _readings(_lines(home), home.fleet),
        "sensor_features": lambda: _sensor_features(table("readings"), home.fleet),
        "device_features": lambda: _device_features(table("sensor_features"), home.fleet),
    }


def unchecked_form(home: LocalHome) -> Sources:
    """Return a stream that only parses the lines: text, from_json, append."""
    return {"readings": lambda: _parsed(_lines(home))}


def process_plain(sources: Sources, folder: Path) -> Processed:
    """Let the streams process all landed files, in order. folder: of their tables and checkpoints."""
    seconds, peaks = dict[str, float](), dict[str, float]()
    for name, source in sources.items():
        with Memory([name].copy) as memory:
            writer = source().writeStream.format("delta").trigger(availableNow=True)
            query = writer.option("checkpointLocation", str(folder / f"{name}_checkpoint")).start(str(folder / name))
            query.awaitTermination()
        # Batches without input count too: they write the windows that the watermark closed.
        seconds[name] = sum(entry["durationMs"]["triggerExecution"] for entry in query.recentProgress) / 1000
        peaks |= memory.peaks
    return Processed(seconds, peaks)


def _lines(home: LocalHome) -> DataFrame:
    reader = home.spark.readStream.option("maxFilesPerTrigger", MAX_FILES)
    # By default the source skips a file that is a week older than the newest one.
    return reader.option("maxFileAge", "36500d").text(home.settings.landing)


def _parsed(lines: DataFrame) -> DataFrame:
    return lines.select(F.from_json("value", SCHEMA).alias("r")).select("r.*")


def _readings(lines: DataFrame, fleet: Fleet) -> DataFrame:
    rows = _parsed(lines).where("event_time IS NOT NULL")
    ranges = [
        (F.col("sensor") == name) & F.col("value").between(*(sensor.range or (float("-inf"), float("inf"))))
        for name, sensor in fleet.sensors.items()
    ]
    keyed = rows.where(reduce(operator.or_, ranges)).withWatermark("event_time", "1 hour")
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
