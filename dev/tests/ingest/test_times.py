"""Event times: accepted formats, their values, and the detail of a rejected one."""

from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sensor_streams.ingest.event_times import event_time, has_no_zone, why_malformed

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ACCEPTED = {
    "2026-01-31T12:00:00Z": NOON,
    "2026-01-31t12:00:00z": NOON,
    "2026-01-31T12:00Z": NOON,
    "20260131T120000Z": NOON,
    "20260131T1200Z": NOON,
    "20260131T130000+0100": NOON,
    "20260131T130000,5+01": NOON.replace(microsecond=500_000),
    "2026-01-31T13:00:00+01:00": NOON,
    "2026-01-31T13:00:00+0100": NOON,
    "2026-01-31T13:00:00+01": NOON,
    "2026-01-31T11:00:00-01": NOON,
    "2026-01-31T06:30−0530": NOON,
    "2026-01-31T12:00:00-00:00": NOON,
    "2026-02-01T06:00:00+18:00": NOON,
    "2026-01-31T12:00:00.5Z": NOON.replace(microsecond=500_000),
    "2026-01-31T12:00:00,123456Z": NOON.replace(microsecond=123_456),
    # Cut, not rounded.
    "2026-01-31T12:00:00.1234569Z": NOON.replace(microsecond=123_456),
    "2026-01-31T12:00:00.999999999999999999999Z": NOON.replace(microsecond=999_999),
    "1900-01-01T00:00:00Z": datetime(1900, 1, 1, tzinfo=UTC),
}
MALFORMED = {
    "2026-01-31 12:00:00Z": "a space between date and time: write T",
    "2026-W05-6T12:00:00Z": "a week date",
    "2026W056T120000Z": "a week date",
    "2026-031T12:00:00Z": "an ordinal date",
    "2026031T120000Z": "an ordinal date",
    "2026-01-31T24:00:00Z": "hour 24: write 00:00 of the next day",
    "20260131T240000Z": "hour 24",
    "2026-06-30T23:59:60Z": "second 60: a leap second",
    "2026-01-31T12:00:00+19:00": "an offset of more than 18 hours",
    "2026-01-31T12:00:00+18:01": "an offset of more than 18 hours",
    "2026-01-31T12:00:00+01:60": "an offset with more than 59 minutes",
    "20260131T120000−0199": "an offset with more than 59 minutes",
    "2026-02-30T12:00:00Z": "a date or time that does not exist",
    "2026-01-31T25:00:00Z": "a date or time that does not exist",
    "1899-12-31T23:59:59Z": "before 1900",
    "2026-01-31T12:00:00.Z": "write 2026-01-31T12:00:00Z",
    "2026-01-31": "write 2026-01-31T12:00:00Z",
    "2026-0131T12:00:00Z": "write 2026-01-31T12:00:00Z",
    "2026-01-31T12:00:00 Z": "write 2026-01-31T12:00:00Z",
    "2026-01-31T12:00:00Z\n": "write 2026-01-31T12:00:00Z",
    "2026-01-31T12:00:00+1": "write 2026-01-31T12:00:00Z",
    "1769860800": "write 2026-01-31T12:00:00Z",
    "now": "write 2026-01-31T12:00:00Z",
    "": "write 2026-01-31T12:00:00Z",
}


def test_times_of_iso_8601_are_exact_to_the_microsecond(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(text,) for text in ACCEPTED], "text string")
    read = rows.select("text", F.unix_micros(event_time(F.col("text"))).alias("micros")).collect()
    seconds = {text: int(time.timestamp()) * 1_000_000 + time.microsecond for text, time in ACCEPTED.items()}
    assert {row["text"]: row["micros"] for row in read} == seconds


def test_other_times_are_rejected_and_the_detail_says_why(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(text,) for text in MALFORMED], "text string")
    read = rows.select("text", event_time(F.col("text")).alias("time"), why_malformed(F.col("text")).alias("why"))
    found = read.collect()
    assert [row["text"] for row in found if row["time"] is not None] == []
    assert [(row["text"], row["why"]) for row in found if MALFORMED[row["text"]] not in row["why"]] == []


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00", "2026-01-31T12:00", "20260131T1200", "2026-01-31T12:00:00,5"])
def test_a_time_without_a_zone_is_recognised(spark: SparkSession, text: str) -> None:
    rows = spark.createDataFrame([(text,)], "text string")
    (row,) = rows.select(
        has_no_zone(F.col("text")).alias("has_no_zone"), event_time(F.col("text")).alias("time")
    ).collect()
    assert (row["has_no_zone"], row["time"]) == (True, None)
