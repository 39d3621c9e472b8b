"""Which part of a table a range or a change touches."""

from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import SparkSession

from sensor_streams.errors import ConfigurationError, TableError
from sensor_streams.fleet import Fleet, parse_fleet
from sensor_streams.incremental.engine import checked_names
from sensor_streams.incremental.time_slots import Slots
from sensor_streams.streams import BY_NAME, DATES
from sensor_streams.verify import region_of
from tests.rows import FIXTURES

SLOTS = Slots(("device_id",), "window_start", "window_start", lambda _: 300, dates=DATES)


def test_a_range_is_widened_to_whole_windows_also_before_1970_and_with_parts_of_seconds(fleet: Fleet) -> None:
    low = datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)
    high = datetime(2026, 1, 1, 0, 5, 0, 500_000, tzinfo=UTC)
    assert SLOTS.between(low, high, fleet, "device_features").condition == (
        "t.`window_start` >= TIMESTAMP'1969-12-31 23:55:00+00:00' AND t.`window_date` >= DATE'1969-12-31'"
        " AND t.`window_start` < TIMESTAMP'2026-01-01 00:10:00+00:00' AND t.`window_date` <= DATE'2026-01-01'"
    )


@pytest.mark.parametrize("year", [999, 9999])
def test_times_at_the_ends_of_the_calendar_are_no_error(fleet: Fleet, year: int) -> None:
    time = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    long = Slots(("device_id",), "window_start", "window_start", lambda _: 10**10, lambda _: 10**12)
    assert "TIMESTAMP'" in long.between(time, None, fleet, "device_features").condition
    assert "TIMESTAMP'" in long.between(None, time, fleet, "device_features").condition


def test_a_range_that_ends_before_it_begins_is_refused(fleet: Fleet) -> None:
    day = datetime(2026, 1, 2, tzinfo=UTC)
    for high in (day, day - timedelta(hours=1)):
        with pytest.raises(ConfigurationError, match="is empty: its end must be after its begin"):
            region_of(BY_NAME["alerts"], fleet, day, high)


def test_a_table_that_lags_behind_the_fleet_is_told_with_its_columns(spark: SparkSession, fleet: Fleet) -> None:
    stream = BY_NAME["device_features"]
    there = spark.createDataFrame([], ", ".join(f"{name} {kind}" for name, kind in stream.columns(fleet)))
    assert len(checked_names(stream, fleet, there)) == len(there.columns)
    text = (FIXTURES / "fleet.yml").read_text("utf-8")
    more = parse_fleet(text.replace("sensors:\n", "sensors:\n  flow: {period: 20 s}\n", 1))
    with pytest.raises(TableError, match=r"device_features has no column flow_mean, .* Run the stream device_features"):
        checked_names(stream, more, there)
