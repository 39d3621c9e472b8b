"""Operating sessions."""

from collections.abc import Callable

from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.features.sessions import columns, device_sessions
from sensor_streams.fleet import Fleet, parse_fleet
from tests.features.same import same, same_in_part_as_whole
from tests.rows import frame

Table = Callable[[str], DataFrame]


def windows(spark: SparkSession, *lines: str) -> DataFrame:
    """Return short windows from lines "device sensor HH:MM mean [count]"."""
    cells = [line.split() for line in lines]
    head = "device_id string|sensor string|window_start timestamp|count bigint|mean double|max double"
    rows = [f"{d}|{s}|2026-01-01 {at}:00|{n[0] if n else 1}|{m}|{float(m) + 1}" for d, s, at, m, *n in cells]
    return frame(spark, "\n".join([head, *rows]))


def sessions(rows: DataFrame, fleet: Fleet) -> list[str]:
    """Return the sessions as "device from-to starts windows", and "continues" where it is true."""
    return sorted(
        f"{r['device_id']} {r['session_start']:%H:%M}-{r['session_end']:%H:%M} {r['starts']} {r['windows']}"
        + (" continues" if r["continues"] else "")
        for r in device_sessions(rows, fleet).collect()
    )


def test_sessions_have_the_figures_computed_by_hand(delta: Table, fleet: Fleet) -> None:
    found = device_sessions(delta("sensor_features"), fleet)
    assert found.dtypes == columns(fleet)
    same(found, delta("device_sessions"))


def test_a_session_includes_pauses_up_to_the_gap_and_counts_its_starts(spark: SparkSession, fleet: Fleet) -> None:
    # The gap is 3 minutes, idle is below 2, the cut is at each hour.
    rows = windows(
        spark,
        # From 00:01 to 00:04 are 3 minutes; from 00:05 to 00:09 are 4.
        *("pump-1 power 00:00 5", "pump-1 power 00:04 5", "pump-1 power 00:09 5"),
        # An idle window is a pause; a mean equal to `idle_below` is load.
        *("pump-2 power 00:00 2", "pump-2 power 00:01 1.9", "pump-2 power 00:02 2", "pump-2 power 00:03 9"),
        # Across the cut: directly; after a pause, which is a start; after too long a pause, a new session.
        *("pump-3 power 00:59 5", "pump-3 power 01:00 5"),
        *("pump-4 power 00:58 5", "pump-4 power 01:01 5"),
        *("pump-5 power 00:57 5", "pump-5 power 01:02 5"),
        # Other sensors do not count as load; a device of an unknown type has no load sensor.
        *("pump-6 temperature 00:00 50", "fan-1 power 00:00 50"),
    )
    assert sessions(rows, fleet) == [
        "pump-1 00:00-00:05 2 2",
        "pump-1 00:09-00:10 1 1",
        "pump-2 00:00-00:04 2 3",
        "pump-3 00:59-01:00 1 1",
        "pump-3 01:00-01:01 0 1 continues",
        "pump-4 00:58-00:59 1 1",
        "pump-4 01:01-01:02 1 1 continues",
        "pump-5 00:57-00:58 1 1",
        "pump-5 01:02-01:03 1 1",
    ]


def test_the_load_of_a_session_is_weighted_by_count(spark: SparkSession, fleet: Fleet) -> None:
    rows = device_sessions(windows(spark, "pump-1 power 00:00 10 3", "pump-1 power 00:01 20 1"), fleet).collect()
    assert [(r["load_mean"], r["load_max"], r["duration_seconds"]) for r in rows] == [(12.5, 21.0, 120.0)]


def test_a_late_reading_joins_two_sessions(spark: SparkSession, fleet: Fleet) -> None:
    early = windows(spark, "pump-1 power 00:00 5", "pump-1 power 00:06 5")
    late = windows(spark, "pump-1 power 00:03 5")
    assert sessions(early, fleet) == ["pump-1 00:00-00:01 1 1", "pump-1 00:06-00:07 1 1"]
    assert sessions(early.unionByName(late), fleet) == ["pump-1 00:00-00:07 3 3"]


def test_each_type_has_its_own_load_sensor_or_no_sessions(spark: SparkSession) -> None:
    fleet = parse_fleet(
        "windows: {short: 1 min, long: 5 min, lookback: 0}\nsessions: {gap: 3 min, longest: 1 hour}\n"
        "sensors:\n  power: {period: 1 min, roles: [load], idle_below: 2}\n"
        "  speed: {period: 1 min, roles: [load]}\n  heat: {period: 1 min}\n"
        "device_types:\n  pump: {devices: ['pump-*'], sensors: [power, heat]}\n"
        "  fan: {devices: ['fan-*'], sensors: [speed, heat]}\n  pipe: {devices: ['pipe-*'], sensors: [heat]}\n"
    )
    rows = windows(
        spark,
        *(f"{device} {sensor} 00:00 0" for device in ("pump-1", "fan-1", "pipe-1") for sensor in fleet.sensors),
        *("pump-2 power 00:00 3", "pump-2 speed 00:02 3"),
    )
    # Without `idle_below` any reading of the load sensor is load.
    assert sessions(rows, fleet) == ["fan-1 00:00-00:01 1 1", "pump-2 00:00-00:01 1 1"]


def test_touched_sessions_are_the_same_when_computed_from_a_part(spark: SparkSession, fleet: Fleet) -> None:
    # Load for 2 of each 4 minutes at one device, without a break at the other, over six cuts.
    rows = spark.range(720).select(
        F.format_string("pump-%d", F.col("id") % 2).alias("device_id"),
        F.lit("power").alias("sensor"),
        F.timestamp_seconds(F.lit(1767225600) + F.floor(F.col("id") / 2) * 60).alias("window_start"),
        F.lit("2026-01-01").cast("date").alias("window_date"),
        F.lit(3).cast("bigint").alias("count"),
        F.when((F.col("id") % 2 == 0) | (F.col("id") % 8 < 4), 5.0).otherwise(0.0).alias("mean"),
        F.col("id").cast("double").alias("max"),
    )
    changes = rows.where("hour(window_start) IN (2, 4) AND minute(window_start) = 59")
    same_in_part_as_whole("device_sessions", rows, changes, fleet)
    whole = device_sessions(rows, fleet)
    assert whole.where("continues").count() >= 5
    # `continues` does not need the session before the touched part.
    later = rows.where("window_start >= '2026-01-01 00:56:00'")
    of_second_hour = "session_start >= '2026-01-01 01:00:00'"
    assert_df_equality(
        device_sessions(later, fleet).where(of_second_hour), whole.where(of_second_hour), ignore_row_order=True
    )
