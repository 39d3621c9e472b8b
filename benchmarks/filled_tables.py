"""Fill the tables of streams 1 to 3 with many rows of earlier days, without running the streams."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.simulated_home import ORIGIN, simulation_of
from sensor_streams.features.device import device_features
from sensor_streams.features.sensor import sensor_features
from sensor_streams.features.windows import select_declared
from sensor_streams.ingest.ingest_tables import files_table, readings_columns
from sensor_streams.ingest.landing_files import DONE
from sensor_streams.streams import PARTITIONS
from sensor_streams_dev.local_home import LocalHome

EVERY = timedelta(minutes=5)
LINES_PER_FILE = 2_000
# The rows end this long before the first simulated reading, so that no window looks back at them.
GAP = timedelta(days=2)
_PARTITIONS = 16


def fill(home: LocalHome, readings: int) -> dict[str, int]:
    """Append generated readings, their files, and the features of both; return the rows of each table.

    The streams must have run once. The tables get one file for each date, as after `sensor-streams maintain`.
    The commits are marked as no change of data, so the streams, which read changes, do not process them.
    """
    fleet = home.fleet
    tables: dict[str, Callable[[], DataFrame]] = {
        "readings": lambda: _readings(home, readings),
        files_table(fleet).name: lambda: _files(home, readings),
        "sensor_features": lambda: sensor_features(_earlier(home, "readings"), fleet),
        "device_features": lambda: device_features(_earlier(home, "sensor_features"), fleet),
    }
    with _shuffle_partitions(home.spark, _PARTITIONS):
        for name, rows in tables.items():
            location, date = home.catalog.identify(name).location, PARTITIONS.get(name)
            placed = rows().coalesce(1) if date is None else rows().repartition(_PARTITIONS, date)
            placed.write.format("delta").mode("append").option("dataChange", "false").save(location)
    return {name: home.catalog.read(name).count() for name in tables}


def _earlier(home: LocalHome, table: str) -> DataFrame:
    """Return the generated rows of a table."""
    return home.catalog.read(table).where(F.col(PARTITIONS[table]) < F.lit((ORIGIN - GAP / 2).date()))


def _readings(home: LocalHome, number: int) -> DataFrame:
    """Return readings of the simulated devices, one every `EVERY`, in the columns of the table."""
    fleet = home.fleet
    series = [
        (device.name, sensor, fleet.sensors[sensor].unit, *(fleet.sensors[sensor].range or (0.0, 100.0)))
        for device in simulation_of(fleet).all_devices()
        for sensor in fleet.device_types[device.kind].sensors
    ]
    kind = "series bigint, device_id string, sensor string, unit string, low double, high double"
    known = home.spark.createDataFrame([(at, *one) for at, one in enumerate(series)], kind)
    step, steps = int(EVERY.total_seconds()), -(-number // len(series))
    begin = int((ORIGIN - GAP).timestamp()) - steps * step
    numbered = home.spark.range(number).withColumn("series", F.col("id") % len(series))
    rows = numbered.join(F.broadcast(known), "series").withColumns(
        {
            "event_time": F.timestamp_seconds(F.floor(F.col("id") / len(series)) * step + begin),
            # Any value within the range that looks random.
            "value": F.round(F.expr("low + (high - low) * pmod(xxhash64(id), 100000) / 100000"), 4),
            "source_file": _file_name(F.floor(F.col("id") / LINES_PER_FILE)),
            "line_hash": F.xxhash64("id"),
            "line_occurrence": F.lit(1),
        }
    )
    rows = rows.withColumns({"event_date": F.to_date("event_time"), "arrived_at": F.col("event_time")})
    columns = readings_columns(fleet)
    missing = {name: F.lit(None) for name, _ in columns if name not in rows.columns}
    return select_declared(rows.withColumns(missing), columns)


def _files(home: LocalHome, readings: int) -> DataFrame:
    """Return the rows of `ingested_files` for the generated readings."""
    lines = F.least(F.lit(LINES_PER_FILE), F.lit(readings) - F.col("id") * LINES_PER_FILE)
    arrived = F.lit((ORIGIN - GAP).isoformat()).cast("timestamp")
    values = {
        "source_file": _file_name(F.col("id")),
        "batch_id": F.lit(0),
        "arrived_at": arrived,
        "bytes": lines * 100,
        "lines": lines,
        "accepted": lines,
        "rejected": F.lit(0),
        "duplicates": F.lit(0),
        "state": F.lit(DONE),
        "reason": F.lit(None),
        "recorded_at": arrived,
    }
    rows = home.spark.range(-(-readings // LINES_PER_FILE)).withColumns(values)
    return select_declared(rows, files_table(home.fleet).columns)


def _file_name(number: Column) -> Column:
    return F.format_string("earlier-%08d.json", number)


@contextmanager
def _shuffle_partitions(spark: SparkSession, number: int) -> Iterator[None]:
    """Use more partitions for shuffles: the local default is meant for small batches."""
    before = str(spark.conf.get("spark.sql.shuffle.partitions"))
    spark.conf.set("spark.sql.shuffle.partitions", number)
    try:
        yield
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", before)
