"""Features of one device in one long window."""

from collections.abc import Callable

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.features.device import columns, device_features
from sensor_streams.features.sensor import sensor_features
from sensor_streams.fleet import STATISTICS, Fleet, parse_fleet
from tests.features.same import same, same_in_part_as_whole
from tests.rows import frame

Table = Callable[[str], DataFrame]
HEAD = "device_id string|sensor string|event_time timestamp|sequence bigint|value double"


def figures(spark: SparkSession, text: str, fleet: Fleet) -> dict[tuple[str, str], dict[str, object]]:
    """Return the rows of `device_features` for these readings, by device and HH:MM:SS."""
    found = device_features(sensor_features(frame(spark, f"{HEAD}\n{text.strip()}"), fleet), fleet).collect()
    return {(row["device_id"], f"{row['window_start']:%H:%M:%S}"): row.asDict() for row in found}


def test_a_long_window_has_the_figures_computed_by_hand(delta: Table, fleet: Fleet) -> None:
    # pump-1, power, 00:00: readings 5 7 9 | 11 10 | 1, so mean 43/6 and deviation √((377 − 43²/6)/5). The minutes'
    # means 7, 10.5, 1 fall by 3 per minute. 3/3, 2/3 and 1/3 of five minutes are present: 0.6 is missing.
    # 00:05: (20 − 43/6) in five minutes is 154 per hour. 00:10: 40, 50, 70 five minutes apart rise by 180 per hour.
    found = device_features(delta("sensor_features"), fleet)
    assert found.dtypes == columns(fleet)
    by_hand = delta("device_features")
    same(found.select(*by_hand.columns), by_hand)


def test_the_pooled_deviation_equals_the_deviation_of_all_readings(spark: SparkSession, fleet: Fleet) -> None:
    # Large compared with its spread, so that a difference of sums of squares would be wrong; 60 to 1 readings a minute.
    readings = spark.range(300).select(
        F.lit("pump-1").alias("device_id"),
        F.lit("power").alias("sensor"),
        F.timestamp_seconds(F.lit(1767225600) + F.col("id")).alias("event_time"),
        F.lit(None).cast("bigint").alias("sequence"),
        (F.lit(1e6) + (F.col("id") * 37 % 101) / 7).alias("value"),
    )
    uneven = readings.where("minute(event_time) = 0 OR second(event_time) <= minute(event_time) * 3 - 3")
    direct = uneven.agg(F.stddev_samp("value"), F.avg("value")).first()
    row = device_features(sensor_features(uneven, fleet), fleet).first()
    assert direct is not None
    assert row is not None
    assert row["power_deviation"] == pytest.approx(direct[0], rel=1e-9)
    assert row["power_mean"] == pytest.approx(direct[1], rel=1e-12)


def test_look_back_is_a_span_of_time_weighted_by_count(spark: SparkSession, fleet: Fleet) -> None:
    # Long windows of 5 minutes, 2 of them for look-back: at 00:15 the window of 00:00 is too old.
    rows = """
        pump-1|power|2026-01-01 00:00:00||100
        pump-1|power|2026-01-01 00:05:00||10
        pump-1|power|2026-01-01 00:15:00||30
        pump-2|power|2026-01-01 00:00:00||10
        pump-2|power|2026-01-01 00:01:00||10
        pump-2|power|2026-01-01 00:02:00||10
        pump-2|power|2026-01-01 00:05:00||20
        pump-2|power|2026-01-01 00:10:00||40
    """
    found = figures(spark, rows, fleet)
    assert found["pump-1", "00:00:00"]["power_lookback_mean"] is None
    assert found["pump-1", "00:00:00"]["power_trend"] is None
    assert found["pump-1", "00:15:00"]["power_lookback_mean"] == pytest.approx(10)
    assert found["pump-1", "00:15:00"]["power_trend"] == pytest.approx((30 - 10) * 6)
    # Before: three readings of 10 and one of 20. The trend counts each window once: 10, 20, 40.
    assert found["pump-2", "00:10:00"]["power_lookback_mean"] == pytest.approx(12.5)
    assert found["pump-2", "00:10:00"]["power_trend"] == pytest.approx(180)


def test_without_look_back_earlier_windows_are_not_used(spark: SparkSession, fleet: Fleet) -> None:
    windows = fleet.windows.model_dump() | {"short": "1 s", "long": "1 s", "lookback": 0}
    other = fleet.model_copy(update={"windows": type(fleet.windows).model_validate(windows)})
    found = figures(spark, "pump-1|power|2026-01-01 00:00:00||1\npump-1|power|2026-01-01 00:00:01||2", other)
    assert found["pump-1", "00:00:01"]["power_mean"] == 2
    assert found["pump-1", "00:00:01"]["power_lookback_mean"] is None
    assert found["pump-1", "00:00:01"]["power_trend"] is None


def test_the_slope_of_a_single_short_window_is_its_own_and_a_silent_sensor_is_null(
    spark: SparkSession, fleet: Fleet
) -> None:
    rows = """
        pump-1|power|2026-01-01 00:00:00||5
        pump-1|power|2026-01-01 00:00:20||7
        fan-1|power|2026-01-01 00:00:00||5
    """
    found = figures(spark, rows, fleet)
    pump = found["pump-1", "00:00:00"]
    assert pump["power_slope"] == pytest.approx(360)
    assert {pump[f"temperature_{statistic}"] for statistic in STATISTICS} == {None}
    # The fleet has no type for a fan: it has figures, and a null type.
    assert (found["fan-1", "00:00:00"]["device_type"], found["fan-1", "00:00:00"]["power_mean"]) == (None, 5.0)


def test_each_of_many_sensors_has_its_own_columns(spark: SparkSession) -> None:
    names = [f"s{n:02}" for n in range(24)]
    fleet = parse_fleet(
        "windows: {short: 1 min, long: 1 min, lookback: 1}\n"
        f"sensors: {{{', '.join(f'{name}: {{period: 1 min}}' for name in names)}}}\n"
        f"device_types: {{pump: {{devices: ['*'], sensors: [{', '.join(names)}]}}}}\n"
    )
    # Each sensor's value is its number, so a statistic in a wrong column is a wrong number.
    rows = "\n".join(f"a|{name}|2026-01-01 00:00:00||{n}" for n, name in enumerate(names) if n != 5)
    row = figures(spark, rows, fleet)["a", "00:00:00"]
    assert list(row) == [name for name, _ in columns(fleet)]
    for n, name in enumerate(names):
        value = None if n == 5 else float(n)
        assert [row[f"{name}_{statistic}"] for statistic in ("mean", "min", "max", "last")] == [value] * 4


def test_touched_windows_are_the_same_when_computed_from_a_part(spark: SparkSession, fleet: Fleet) -> None:
    readings = spark.range(1200).select(
        F.format_string("pump-%d", F.col("id") % 3).alias("device_id"),
        F.when(F.col("id") % 7 < 4, "power").otherwise("temperature").alias("sensor"),
        F.timestamp_seconds(F.lit(1767225600) + F.col("id") * 9).alias("event_time"),
        F.lit(None).cast("bigint").alias("sequence"),
        (F.col("id") * 37 % 101).cast("double").alias("value"),
    )
    rows = sensor_features(readings, fleet).localCheckpoint()
    changes = rows.where("device_id = 'pump-1' AND minute(window_start) IN (3, 31)")
    same_in_part_as_whole("device_features", rows, changes, fleet)
