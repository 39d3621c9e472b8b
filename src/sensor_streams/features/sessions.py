"""Operating sessions of a device: sequences of short windows under load."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from sensor_streams.features.windows import select_declared, window_start
from sensor_streams.fleet import Fleet
from sensor_streams.table_spec import Columns


def columns(_: Fleet) -> Columns:
    """Return the columns of `device_sessions`."""
    return [
        ("device_id", "string"),
        ("session_start", "timestamp"),
        ("session_end", "timestamp"),
        ("session_date", "date"),
        ("duration_seconds", "double"),
        ("starts", "int"),
        ("load_mean", "double"),
        ("load_max", "double"),
        ("windows", "int"),
        ("continues", "boolean"),
    ]


def magnitudes(_: Fleet) -> dict[str, str]:
    """Return SQL for the size of the operands, for columns that are computed by subtraction (see `same_number`)."""
    return {"load_mean": "abs(r.load_max)"}


def device_sessions(sensor_features: DataFrame, fleet: Fleet) -> DataFrame:
    """Return one row per operating session of a device.

    A short window is active when the mean of the device's load sensor is at least its `idle_below`. A session is a
    sequence of active windows with pauses of at most `gap`. It is cut at multiples of `longest`.

    In: rows of `sensor_features`, from one gap and one short window before the requested time on.
    Out: device_id, session_start, session_end, session_date; duration_seconds; starts (number of active windows that do
    not directly follow an active one); load_mean (weighted by count), load_max in the sensor's unit; windows; continues
    (true when the session was cut from an earlier one).
    """
    longest = int(fleet.sessions.longest.total_seconds())
    gap = int(fleet.sessions.gap.total_seconds())
    start = F.unix_seconds("window_start")
    by_device = Window.partitionBy("device_id").orderBy("window_start")
    active = (
        sensor_features.where(_active(fleet))
        .withColumn("pause", start - F.lag(start).over(by_device) - fleet.short_seconds)
        .withColumn("cut", window_start(F.col("window_start"), longest))
        .withColumn("new_cut", F.coalesce(F.lag("cut").over(by_device) != F.col("cut"), F.lit(True)))
    )
    continues = F.coalesce(F.col("pause") <= gap, F.lit(False))
    begins = F.col("new_cut") | ~continues
    numbered = (
        active.withColumn("continues", continues)
        .withColumn("session", F.sum(begins.cast("int")).over(by_device))
        # A window directly after an active one is not a start.
        .withColumn("start", (~F.coalesce(F.col("pause") == 0, F.lit(False))).cast("int"))
    )
    sessions = numbered.groupBy("device_id", "session").agg(
        F.min("window_start").alias("session_start"),
        F.timestamp_seconds(F.max(start) + fleet.short_seconds).alias("session_end"),
        F.sum("start").alias("starts"),
        (F.sum(F.col("mean") * F.col("count")) / F.sum("count")).alias("load_mean"),
        F.max("max").alias("load_max"),
        F.count(F.lit(1)).alias("windows"),
        F.min_by("continues", "window_start").alias("continues"),
    )
    seconds = F.unix_seconds("session_end") - F.unix_seconds("session_start")
    rows = sessions.withColumn("duration_seconds", seconds).withColumn("session_date", F.to_date("session_start"))
    return select_declared(rows, columns(fleet))


def _active(fleet: Fleet) -> Column:
    """Return True for a short window in which the device's load sensor is not idle."""
    device_type = fleet.device_type_of(F.col("device_id"))
    active = F.lit(False)
    for name in fleet.device_types:
        sensor = fleet.load_sensor(name)
        if sensor is not None:
            idle_below = fleet.sensors[sensor].idle_below
            loaded = F.lit(True) if idle_below is None else F.col("mean") >= idle_below
            active = active | ((device_type == name) & (F.col("sensor") == sensor) & loaded)
    return active
