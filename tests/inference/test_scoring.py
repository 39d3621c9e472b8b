"""Scores: rows with changed features are scored again."""

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Inputs
from sensor_streams.inference.scoring import input_hash
from sensor_streams.streams import BY_NAME
from tests.models import anomaly_model
from tests.rows import frame


def hashes(rows: DataFrame) -> list[int]:
    """Return the hash of each row, by device."""
    return [
        row["hash"] for row in rows.select("device_id", input_hash(rows).alias("hash")).orderBy("device_id").collect()
    ]


def test_the_input_hash_changes_only_with_a_value_that_models_can_read(spark: SparkSession) -> None:
    head = "device_id string|device_type string|count bigint|power_mean double|power_missing double|flow_mean double"
    rows = frame(spark, f"{head}\na|pump|5|10|0.25|\nb|pump|5|10|0.25|1e8\nc|pump||||")
    before = hashes(rows)
    assert len(set(before)) == 3
    silent = rows.withColumn("heat_mean", F.lit(None).cast("double")).withColumn("site", F.lit("x"))
    assert hashes(silent) == before, "a sensor that was added is silent in old rows"
    assert hashes(rows.select(*reversed(rows.columns))) == before, "sensors in another order"
    assert hashes(rows.withColumn("power_mean", F.col("power_mean") * (1 + 1e-13))) == before, "the last bits"
    for column, factor in (("power_missing", 1 + 2e-9), ("count", 2)):
        after = hashes(rows.withColumn(column, (F.col(column) * factor).cast(rows.schema[column].dataType)))
        assert [a == b for a, b in zip(after, before, strict=True)] == [False, False, True], column
    swapped = rows.select("device_id", "device_type", "count", "flow_mean", F.col("power_missing").alias("power_mean"))
    assert hashes(swapped)[0] != before[0], "the same values under other names"


def test_only_rows_with_changed_features_are_scored_again(spark: SparkSession, fleet: Fleet, tmp_path: Path) -> None:
    stream = BY_NAME["anomaly_scores"]
    compute = stream.compute
    assert compute is not None
    columns = BY_NAME["device_features"].columns(fleet)

    def features(pump: int) -> DataFrame:
        head = "device_id string|device_type string|window_start timestamp|window_date date|count bigint"
        time = "2026-01-01 00:00:00|2026-01-01"
        rows = frame(spark, f"{head}|power_mean double\na|pump|{time}|5|1\nb|pump|{time}|5|{pump}")
        missing = [F.lit(None).cast(kind).alias(name) for name, kind in columns if name not in rows.columns]
        return rows.select("*", *missing).select(*[name for name, _ in columns])

    def scores(pump: int, number: str, stored: DataFrame) -> DataFrame:
        model = anomaly_model(spark, tmp_path, number, "pump")
        return compute(Inputs({"device_features": features(pump)}, stored, fleet, model))

    schema = ", ".join(f"{name} {kind}" for name, kind in stream.columns(fleet))
    first = scores(2, "1", spark.createDataFrame([], schema)).localCheckpoint()
    second = {row["device_id"]: row for row in scores(30, "2", first).collect()}
    before = {row["device_id"]: row for row in first.collect()}
    assert second["a"] == before["a"]
    assert (before["b"]["model_version"], second["b"]["model_version"]) == ("1", "2")
    assert second["b"]["score"] > before["b"]["score"]
