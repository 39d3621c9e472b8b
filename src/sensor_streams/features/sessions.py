"""Operating sessions of a device: runs of short windows under load."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from sensor_streams.features.windows import in_form, window_start
from sensor_streams.fleet import Fleet
from sensor_streams.table_spec import Columns


def columns(_: Fleet) -> Columns:
    """The columns of `device_sessions`."""
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
    """Columns that are differences of larger numbers, by the size of those (see `keyed.difference`)."""
    return {"load_mean": "abs(r.load_max)"}


def device_sessions(sensor_features: DataFrame, fleet: Fleet) -> DataFrame:
    """One row per operating session of a device.

    In: rows of `sensor_features`, with a session gap and a short window before the time that is asked for.
    A short window counts as active when the mean of the device's load sensor is at or above its `idle_below`. A
    session is a run of active windows with no more than `gap` between the end of one and the start of the next; it
    is cut at multiples of `longest`, and `continues` says that it goes on from before the cut.
    Out: session_start, session_end, session_date; duration_seconds; starts (how often load came back within the
    session, its beginning included); load_mean (weighted by count), load_max in the sensor's unit; windows.
    """
    longest = int(fleet.sessions.longest.total_seconds())
    gap = int(fleet.sessions.gap.total_seconds())
    start = F.unix_seconds("window_start")
    by_device = Window.partitionBy("device_id").orderBy("window_start")
    active = (
        sensor_features.where(_active(fleet))
        .withColumn("since", start - F.lag(start).over(by_device) - fleet.short_seconds)
        .withColumn("cut", window_start(F.col("window_start"), longest))
        .withColumn("new_cut", F.coalesce(F.lag("cut").over(by_device) != F.col("cut"), F.lit(True)))
    )
    goes_on = F.coalesce(F.col("since") <= gap, F.lit(False))
    begins = F.col("new_cut") | ~goes_on
    numbered = (
        active.withColumn("goes_on", goes_on)
        .withColumn("session", F.sum(begins.cast("int")).over(by_device))
        # Directly behind an active window nothing was switched on.
        .withColumn("start", (~F.coalesce(F.col("since") == 0, F.lit(False))).cast("int"))
    )
    sessions = numbered.groupBy("device_id", "session").agg(
        F.min("window_start").alias("session_start"),
        F.timestamp_seconds(F.max(start) + fleet.short_seconds).alias("session_end"),
        F.sum("start").alias("starts"),
        (F.sum(F.col("mean") * F.col("count")) / F.sum("count")).alias("load_mean"),
        F.max("max").alias("load_max"),
        F.count(F.lit(1)).alias("windows"),
        F.min_by("goes_on", "window_start").alias("continues"),
    )
    seconds = F.unix_seconds("session_end") - F.unix_seconds("session_start")
    whole = sessions.withColumn("duration_seconds", seconds).withColumn("session_date", F.to_date("session_start"))
    return in_form(whole, columns(fleet))


def _active(fleet: Fleet) -> Column:
    """True for a short window in which its device's load sensor is not idle."""
    device_type = fleet.device_type_of(F.col("device_id"))
    active = F.lit(False)
    for name in fleet.device_types:
        sensor = fleet.load_sensor(name)
        if sensor is not None:
            least = fleet.sensors[sensor].idle_below
            loaded = F.lit(True) if least is None else F.col("mean") >= least
            active = active | ((device_type == name) & (F.col("sensor") == sensor) & loaded)
    return active
