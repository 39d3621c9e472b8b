"""Features by hand-computed rows."""

from collections.abc import Callable

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.features.device import device_features
from sensor_streams.features.sensor import sensor_features
from sensor_streams.features.sessions import device_sessions
from sensor_streams.fleet import Fleet
from tests.rows import frame

Table = Callable[[str], DataFrame]


def same(found: DataFrame, expected: DataFrame) -> None:
    """Equal but for order and the last bits."""

    def rounded(rows: DataFrame) -> DataFrame:
        return rows.select(*[F.round(c, 9).alias(c) if t == "double" else F.col(c) for c, t in rows.dtypes])

    assert_df_equality(rounded(found), rounded(expected), ignore_row_order=True, ignore_nullable=True)


def test_a_short_window_has_the_figures_that_one_computes_by_hand(delta: Table, fleet: Fleet) -> None:
    same(sensor_features(delta("readings"), fleet), delta("sensor_features"))


def test_sessions_end_at_gaps_and_go_on_over_cuts(delta: Table, fleet: Fleet) -> None:
    same(device_sessions(delta("sensor_features"), fleet), delta("device_sessions"))


def test_the_last_value_is_that_of_the_greatest_sequence_number(spark: SparkSession, fleet: Fleet) -> None:
    head = "device_id string|sensor string|event_time timestamp|sequence bigint|value double"
    for order in (("|5|1", "||2", "|7|3"), ("|7|3", "|5|1", "||2")):
        lines = "\n".join(f"pump-1|power|2026-01-01 00:00:00{rest}" for rest in order)
        row = sensor_features(frame(spark, f"{head}\n{lines}"), fleet).first()
        assert row is not None
        assert row["last"] == 3


def test_a_long_window_looks_back_and_pools_the_short_ones(delta: Table, fleet: Fleet) -> None:
    rows = {
        (r["device_id"], f"{r['window_start']:%H:%M}"): r
        for r in device_features(delta("sensor_features"), fleet).collect()
    }
    first, second, third = (rows["pump-1", time] for time in ("00:00", "00:05", "00:10"))
    assert first["count"] == 7
    assert first["power_mean"] == pytest.approx((5 + 7 + 9 + 11 + 10 + 1) / 6)
    assert first["power_deviation"] == pytest.approx(3.7103458958251676)
    assert (first["power_min"], first["power_max"], first["power_last"]) == (1, 11, 1)
    assert first["power_missing"] == pytest.approx(1 - (1 + 2 / 3 + 1 / 3) / 5)
    # Means 7, 10.5 and 1 a minute apart: −3 a minute.
    assert first["power_slope"] == pytest.approx(-180)
    assert first["power_lookback_mean"] is None
    assert first["power_trend"] is None
    assert second["power_lookback_mean"] == pytest.approx(43 / 6)
    assert second["temperature_trend"] == pytest.approx((50 - 40) * 12)
    assert third["power_mean"] is None
    assert third["temperature_lookback_mean"] == pytest.approx(45)
    assert third["temperature_trend"] == pytest.approx(180)
    assert third["device_type"] == "pump"


def test_pooled_deviation_is_that_of_all_readings(spark: SparkSession, fleet: Fleet) -> None:
    readings = spark.range(300).select(
        F.lit("pump-1").alias("device_id"),
        F.lit("power").alias("sensor"),
        F.timestamp_seconds(F.lit(1767225600) + F.col("id")).alias("event_time"),
        F.lit(None).cast("bigint").alias("sequence"),
        (F.lit(1e6) + (F.col("id") * 37 % 101) / 7).alias("value"),
    )
    direct = readings.agg(F.stddev_samp("value"), F.avg("value")).first()
    row = device_features(sensor_features(readings, fleet), fleet).first()
    assert direct is not None
    assert row is not None
    assert row["power_deviation"] == pytest.approx(direct[0], rel=1e-9)
    assert row["power_mean"] == pytest.approx(direct[1], rel=1e-12)


def test_a_part_with_its_look_back_is_computed_as_the_whole_is(delta: Table, fleet: Fleet) -> None:
    rows = delta("sensor_features")
    part = rows.where("device_id = 'pump-1' AND window_start >= '2026-01-01 00:00:00'")
    low = "window_start >= '2026-01-01 00:10:00'"
    same(device_features(part, fleet).where(low), device_features(rows, fleet).where(f"device_id = 'pump-1' AND {low}"))


def test_a_device_without_a_load_sensor_has_no_sessions(delta: Table, fleet: Fleet) -> None:
    other = fleet.model_copy(
        update={
            "sensors": fleet.sensors
            | {"power": fleet.sensors["power"].model_copy(update={"roles": ("anomaly",), "idle_below": None})}
        }
    )
    assert device_sessions(delta("sensor_features"), other).count() == 0
