"""Features of one sensor in one short window."""

from collections.abc import Callable
from datetime import timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.features.device import device_features
from sensor_streams.features.sensor import columns, sensor_features
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.difference import difference
from sensor_streams.streams import BY_NAME
from tests.features.same import same, same_in_part_as_whole
from tests.rows import frame

Table = Callable[[str], DataFrame]
HEAD = "device_id string|sensor string|event_time timestamp|sequence bigint|value double"


def readings(spark: SparkSession, text: str) -> DataFrame:
    return frame(spark, f"{HEAD}\n{text.strip()}")


def test_a_short_window_has_the_figures_computed_by_hand(delta: Table, fleet: Fleet) -> None:
    found = sensor_features(delta("readings"), fleet)
    assert found.dtypes == columns(fleet)
    same(found, delta("sensor_features"))


def test_the_last_value_has_the_latest_time_then_the_greatest_sequence_number(
    spark: SparkSession, fleet: Fleet
) -> None:
    # One microsecond counts more than any sequence number.
    rows = """
        pump-1|power|2026-01-01 00:00:00|5|1
        pump-1|power|2026-01-01 00:00:00||2
        pump-1|power|2026-01-01 00:00:00|7|3
        pump-2|power|2026-01-01 00:00:00|7|3
        pump-2|power|2026-01-01 00:00:00|5|1
        pump-3|power|2026-01-01 00:00:00|-4|3
        pump-3|power|2026-01-01 00:00:00||1
        pump-4|power|2026-01-01 00:00:00.000001||3
        pump-4|power|2026-01-01 00:00:00.000000|5|1
        pump-5|power|2026-01-01 00:00:00.000000|9223372036854775807|1
        pump-5|power|2026-01-01 00:00:00.000001|-9223372036854775808|3
        pump-6|power|2026-01-01 00:00:00|-9223372036854775808|3
        pump-6|power|2026-01-01 00:00:00||1
    """
    found = sensor_features(readings(spark, rows), fleet).collect()
    assert {row["device_id"]: row["last"] for row in found} == {f"pump-{n}": 3.0 for n in range(1, 7)}


def test_windows_begin_at_multiples_of_their_length_also_before_1970(spark: SparkSession, fleet: Fleet) -> None:
    rows = """
        pump-1|power|2026-01-01 00:00:59.999999||1
        pump-1|power|2026-01-01 00:01:00||2
        pump-1|power|1969-12-31 23:59:59.5||3
    """
    found = sensor_features(readings(spark, rows), fleet).collect()
    assert {(f"{row['window_start']:%Y %H:%M:%S}", str(row["window_date"]), row["last"]) for row in found} == {
        ("2026 00:00:00", "2026-01-01", 1.0),
        ("2026 00:01:00", "2026-01-01", 2.0),
        ("1969 23:59:00", "1969-12-31", 3.0),
    }


def test_the_missing_share_is_zero_with_as_many_readings_as_expected_or_more(spark: SparkSession, fleet: Fleet) -> None:
    # Expected are three readings of power per minute, and one in a window of a sensor that reports every five minutes.
    slow = fleet.sensors["temperature"].model_copy(update={"period": timedelta(minutes=5)})
    other = fleet.model_copy(update={"sensors": fleet.sensors | {"temperature": slow}})
    times = "\n".join(f"pump-1|power|2026-01-01 00:00:{second:02}||1" for second in (0, 10, 20, 30))
    found = sensor_features(readings(spark, f"{times}\npump-1|temperature|2026-01-01 00:00:00||1"), other).collect()
    assert {row["sensor"]: (row["count"], row["share_missing"]) for row in found} == {
        "power": (4, 0.0),
        "temperature": (1, 0.0),
    }


def test_touched_windows_are_the_same_when_computed_from_a_part(spark: SparkSession, fleet: Fleet) -> None:
    rows = spark.range(600).select(
        F.format_string("pump-%d", F.col("id") % 3).alias("device_id"),
        F.lit("power").alias("sensor"),
        F.timestamp_seconds(F.lit(1767225600) + F.col("id") * 7).alias("event_time"),
        F.lit(None).cast("bigint").alias("sequence"),
        (F.col("id") * 37 % 101).cast("double").alias("value"),
        F.lit("2026-01-01").cast("date").alias("event_date"),
    )
    same_in_part_as_whole("sensor_features", rows, rows.where("id % 101 = 7"), fleet)


def test_the_order_of_readings_changes_nothing_even_with_a_large_offset(spark: SparkSession, fleet: Fleet) -> None:
    # One meter at 1e8 that moves by 1, two around zero, one with values of 1e-10.
    rows = spark.range(4000).select(
        F.format_string("pump-%d", F.col("id") % 4).alias("device_id"),
        F.lit("power").alias("sensor"),
        F.timestamp_seconds(F.lit(1767225600) + F.col("id") * 0.29).alias("event_time"),
        F.col("id").alias("sequence"),
        F.expr("sin(id) * CASE id % 4 WHEN 3 THEN 1e-10 ELSE 1 END + IF(id % 4 = 0, 1e8, 0)").alias("value"),
    )
    stream = BY_NAME["sensor_features"]
    one = sensor_features(rows.orderBy("sequence").coalesce(1), fleet).localCheckpoint()
    other = sensor_features(rows.orderBy(F.xxhash64("sequence")), fleet).localCheckpoint()
    assert not one.select("deviation").exceptAll(other.select("deviation")).isEmpty(), "the last bits do differ"
    assert difference(one, other, columns(fleet), stream.key, stream.magnitudes(fleet)).isEmpty()
    stream = BY_NAME["device_features"]
    by_mean, by_slope = device_features(one.orderBy("mean"), fleet), device_features(other.orderBy("slope"), fleet)
    assert difference(by_mean, by_slope, stream.columns(fleet), stream.key, stream.magnitudes(fleet)).isEmpty()


def test_readings_are_aggregated_by_hash_without_a_sort(delta: Table, fleet: Fleet) -> None:
    plan = sensor_features(delta("readings"), fleet)._jdf.queryExecution().executedPlan().toString()
    assert "HashAggregate" in plan
    assert [word for word in ("SortAggregate", "ObjectHashAggregate", "Sort [", "Python") if word in plan] == []
