"""Features of one sensor in one short window."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.features.windows import hours_between, select_declared, window_start
from sensor_streams.fleet import Fleet
from sensor_streams.table_spec import Columns


def columns(_: Fleet) -> Columns:
    """Return the columns of `sensor_features`."""
    return [
        ("device_id", "string"),
        ("sensor", "string"),
        ("window_start", "timestamp"),
        ("window_date", "date"),
        ("count", "bigint"),
        ("mean", "double"),
        ("deviation", "double"),
        ("min", "double"),
        ("max", "double"),
        ("last", "double"),
        ("slope", "double"),
        ("share_missing", "double"),
        ("first_time", "timestamp"),
        ("last_time", "timestamp"),
    ]


def magnitudes(_: Fleet) -> dict[str, str]:
    """Return SQL for the size of the operands, for columns that are computed by subtraction (see `same_number`)."""
    size = "greatest(abs(r.`min`), abs(r.`max`))"
    span = "unix_micros(r.last_time) - unix_micros(r.first_time)"
    return {"mean": size, "deviation": size, "slope": f"try_divide({size} * 3.6e9D, {span})"}


def sensor_features(readings: DataFrame, fleet: Fleet) -> DataFrame:
    """Return one row per device, sensor and short window.

    In: readings (device_id, sensor, event_time timestamp, sequence bigint, value double in the sensor's unit). The
    first four columns are a unique key, and values are finite.
    Out: device_id, sensor, window_start, window_date, count, first_time, last_time; mean, min, max in the unit; and

    - last: value at the latest time; of equal times, the greatest sequence number counts
    - deviation: sample standard deviation, null for fewer than two readings
    - slope: least squares, unit per hour, null for fewer than two distinct times
    - share_missing: 1 − count / expected, at least 0; expected = window / period
    """
    start = window_start(F.col("event_time"), fleet.short_seconds)
    windows = (
        readings.withColumn("window_start", start)
        .groupBy("device_id", "sensor", "window_start")
        .agg(
            F.count(F.lit(1)).alias("count"),
            F.avg("value").alias("mean"),
            F.stddev_samp("value").alias("deviation"),
            F.min("value").alias("min"),
            F.max("value").alias("max"),
            F.max_by("value", _order()).alias("last"),
            F.regr_slope(F.col("value"), hours_between(F.col("window_start"), F.col("event_time"))).alias("slope"),
            F.min("event_time").alias("first_time"),
            F.max("event_time").alias("last_time"),
        )
    )
    missing = F.greatest(F.lit(0.0), F.lit(1.0) - F.col("count") / expected_readings(fleet))
    slope = F.when(F.col("first_time") < F.col("last_time"), F.col("slope"))
    rows = (
        windows.withColumn("window_date", F.to_date("window_start"))
        .withColumn("slope", slope)
        .withColumn("share_missing", missing)
    )
    return select_declared(rows, columns(fleet))


def expected_readings(fleet: Fleet) -> Column:
    """Return the expected number of readings of the row's sensor in a short window, at least 1 (double)."""
    values = [
        value
        for name, sensor in fleet.sensors.items()
        for value in (F.lit(name), F.lit(max(1.0, fleet.short_seconds / sensor.period.total_seconds())))
    ]
    return F.coalesce(F.element_at(F.create_map(*values), F.col("sensor")), F.lit(1.0))


def _order() -> Column:
    """Return a number that sorts by time, then by sequence (null first). Spark can hash-aggregate it, unlike a struct.

    One microsecond counts 2e19, more than the number of sequence values (2^64 and null).
    """
    return F.expr(
        "cast(unix_micros(event_time) AS decimal(18,0)) * cast('20000000000000000000' AS decimal(20,0))"
        " + coalesce(cast(sequence AS decimal(20,0)), cast('-9223372036854775809' AS decimal(20,0)))"
    )
