"""Decisions on lines: the way for large batches decides as the way that sorts all lines."""

import random
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.ingest.decide import LINE, decide, decide_most_directly

pytestmark = pytest.mark.usefixtures("compiled")

AT = datetime(2026, 1, 1, tzinfo=UTC)
PARSED = (
    "raw string, source_file string, arrived_at timestamp, line_hash bigint, device_id string, sensor string, "
    "event_time timestamp, sequence bigint, value double, reason string, detail string"
)
STORED = (
    "device_id string, sensor string, event_time timestamp, sequence bigint, value double, source_file string, "
    "line_hash bigint, line_occurrence int"
)
REJECTED = "source_file string, line_hash bigint, line_occurrence int, reason string"


def batch(spark: SparkSession, chance: random.Random) -> tuple[DataFrame, DataFrame, DataFrame]:
    """Return parsed lines with repeated lines and contested keys, stored readings, and lines rejected before."""
    parsed, stored, rejected = [], {}, {}
    for _ in range(60):
        file, sequence = f"{chance.randrange(3)}.json", chance.choice([None, 1])
        key = (f"pump-{chance.randrange(3)}", "power", AT + timedelta(minutes=chance.randrange(20)), sequence)
        value = float(chance.randrange(2))
        reason = chance.choice([None, None, None, "out_of_range"])
        known = key if chance.random() < 0.9 else (None, *key[1:])
        reason = reason if known[0] else "missing_field"
        line_hash = zlib.crc32(repr((*key, value, reason, known[0])).encode())
        for _ in range(chance.choice([1, 1, 1, 2])):
            line = ("x", file, AT + timedelta(seconds=int(file[0])), line_hash, *known, value, reason, None)
            parsed.append(line)
        if chance.random() < 0.1 and reason is None:
            stored[key] = (*key, float(chance.randrange(2)), file, line_hash, 1)
        if chance.random() < 0.1:
            rejected[file, line_hash] = (file, line_hash, 1, "in_future")
    taken = {(row[5], row[6]) for row in stored.values()}
    before = [row for name, row in rejected.items() if name not in taken]
    return (
        spark.createDataFrame(parsed, PARSED),
        spark.createDataFrame(list(stored.values()), STORED),
        spark.createDataFrame(before, REJECTED),
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_way_for_large_batches_decides_each_line_as_the_other_way(spark: SparkSession, seed: int) -> None:
    parts = batch(spark, random.Random(seed))
    names = [*LINE, "decision", "reason", "detail", "stored"]

    def decided(rows: DataFrame) -> list[tuple[object, ...]]:
        return sorted(map(tuple, rows.select(*names).collect()), key=repr)

    expected = decided(decide(*parts))
    assert decided(decide_most_directly(*parts)) == expected
    assert {row[3] for row in expected} == {"accepted", "rejected", "duplicate"}


def test_lines_without_rivals_are_not_compared(spark: SparkSession) -> None:
    rows = [
        ("x", "a.json", AT, n, "pump-1", "power", AT + timedelta(minutes=n), None, 1.0, None, None) for n in range(5)
    ]
    parsed = spark.createDataFrame(rows, PARSED)
    decided = decide_most_directly(parsed, spark.createDataFrame([], STORED), spark.createDataFrame([], REJECTED))
    assert decided.where(F.col("decision") == "accepted").count() == 5
