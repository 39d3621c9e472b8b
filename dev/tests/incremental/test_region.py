"""Regions of a table that a range or a change touches."""

from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import SparkSession

from sensor_streams.errors import ConfigurationError, TableError
from sensor_streams.fleet import Fleet, parse_fleet
from sensor_streams.incremental.regions import column_names
from sensor_streams.incremental.stream import Batch, Handles, TimeRange
from sensor_streams.incremental.time_slots import TimeSlots
from sensor_streams.streams import BY_NAME, PARTITIONS
from tests.rows import FIXTURES

SLOTS = TimeSlots(("device_id",), "window_start", "window_start", lambda _: 300, partitions=PARTITIONS)


def condition(slots: TimeSlots, spark: SparkSession, fleet: Fleet, low: datetime | None, high: datetime | None) -> str:
    """The condition of a range of `device_features`."""
    return slots.between(TimeRange(low, high), Batch(BY_NAME["device_features"], fleet, Handles(spark))).condition


def test_a_range_is_widened_to_whole_windows_also_before_1970_and_with_parts_of_seconds(
    spark: SparkSession, fleet: Fleet
) -> None:
    low = datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)
    high = datetime(2026, 1, 1, 0, 5, 0, 500_000, tzinfo=UTC)
    assert condition(SLOTS, spark, fleet, low, high) == (
        "t.`window_start` >= TIMESTAMP'1969-12-31 23:55:00+00:00' AND t.`window_date` >= DATE'1969-12-31'"
        " AND t.`window_start` < TIMESTAMP'2026-01-01 00:10:00+00:00' AND t.`window_date` <= DATE'2026-01-01'"
    )


@pytest.mark.parametrize("year", [999, 9999])
def test_times_at_the_ends_of_the_calendar_are_no_error(spark: SparkSession, fleet: Fleet, year: int) -> None:
    time = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    long = TimeSlots(("device_id",), "window_start", "window_start", lambda _: 10**10, lambda _: 10**12)
    assert "TIMESTAMP'" in condition(long, spark, fleet, time, None)
    assert "TIMESTAMP'" in condition(long, spark, fleet, None, time)


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    day = datetime(2026, 1, 2, tzinfo=UTC)
    for high in (day, day - timedelta(hours=1)):
        with pytest.raises(ConfigurationError, match="is empty: its end must be after its begin"):
            TimeRange(day, high)


def test_a_table_without_a_column_of_the_fleet_is_reported(spark: SparkSession, fleet: Fleet) -> None:
    stream = BY_NAME["device_features"]
    there = spark.createDataFrame([], ", ".join(f"{name} {kind}" for name, kind in stream.columns(fleet)))
    assert len(column_names(stream, fleet, there)) == len(there.columns)
    text = (FIXTURES / "fleet.yml").read_text("utf-8")
    more = parse_fleet(text.replace("sensors:\n", "sensors:\n  flow: {period: 20 s}\n", 1))
    with pytest.raises(TableError, match=r"device_features has no column flow_mean, .* Run the stream device_features"):
        column_names(stream, more, there)
