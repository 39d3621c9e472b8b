"""Scores by model version: rows that are scored again, and missing rows that verify finds."""

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from pyspark import SparkFiles
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.errors import ModelError
from sensor_streams.failures import load_failures
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Inputs
from sensor_streams.incremental.transactions import append
from sensor_streams.inference.models import AnomalyModel, NormalState
from sensor_streams.inference.registry import LoadedModel, Registry, silence_mlflow
from sensor_streams.inference.scoring import anomaly_scores, input_hash
from sensor_streams.inference.training import train
from sensor_streams.streams import BY_NAME
from sensor_streams.verify import verify
from tests.plant import Plant
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


def version(spark: SparkSession, folder: Path, number: str, *types: str, scale: float = 1.0) -> LoadedModel:
    """Return a model that knows these device types."""
    one = np.ones(1)
    state = NormalState(["power_mean"], ["power"], one, one * scale, np.ones((1, 1)), one, 1.0, 1.0)
    silence_mlflow()
    mlflow.pyfunc.save_model(
        str(folder / number), python_model=AnomalyModel(dict.fromkeys(types, state)), pip_requirements=[]
    )
    return LoadedModel.of_folder(spark, folder / number, "anomaly", number, ("device_type", "power_mean"))


def test_only_rows_with_changed_features_are_scored_again(spark: SparkSession, fleet: Fleet, tmp_path: Path) -> None:
    stream = BY_NAME["anomaly_scores"]
    assert stream.compute is not None
    columns = BY_NAME["device_features"].columns(fleet)

    def features(pump: int) -> DataFrame:
        head = "device_id string|device_type string|window_start timestamp|window_date date|count bigint"
        time = "2026-01-01 00:00:00|2026-01-01"
        rows = frame(spark, f"{head}|power_mean double\na|pump|{time}|5|1\nb|pump|{time}|5|{pump}")
        missing = [F.lit(None).cast(kind).alias(name) for name, kind in columns if name not in rows.columns]
        return rows.select("*", *missing).select(*[name for name, _ in columns])

    def scores(pump: int, number: str, stored: DataFrame) -> DataFrame:
        model = version(spark, tmp_path, number, "pump")
        return stream.compute(Inputs({"device_features": features(pump)}, stored, fleet, model))

    schema = ", ".join(f"{name} {kind}" for name, kind in stream.columns(fleet))
    first = scores(2, "1", spark.createDataFrame([], schema)).localCheckpoint()
    second = {row["device_id"]: row for row in scores(30, "2", first).collect()}
    before = {row["device_id"]: row for row in first.collect()}
    assert second["a"] == before["a"]
    assert (before["b"]["model_version"], second["b"]["model_version"]) == ("1", "2")
    assert second["b"]["score"] > before["b"]["score"]


def test_a_model_registered_again_under_the_same_version_replaces_the_first_in_workers(
    spark: SparkSession, fleet: Fleet, tmp_path: Path
) -> None:
    head = "device_id string|device_type string|window_start timestamp|window_date date|power_mean double"
    given = "\n".join(f"d{n}|pump|2026-01-01 00:00:00|2026-01-01|5" for n in range(8))
    # More partitions than workers, so that each worker has had both models.
    rows = frame(spark, f"{head}\n{given}").repartition(8, "device_id")

    def score(folder: str, scale: float) -> set[float]:
        model = version(spark, tmp_path / folder, "1", "pump", scale=scale)
        digests.add(model.digest)
        return {row["score"] for row in anomaly_scores(rows, model, fleet).collect()}

    digests: set[str] = set()
    before = {entry.name for entry in Path(SparkFiles.getRootDirectory()).iterdir()}
    assert score("first", 1.0) == {4.0}
    assert score("again", 2.0) == {2.0}
    # Killed workers delete nothing, so folders of their own would fill the disk of a continuous run.
    left = {entry.name for entry in Path(SparkFiles.getRootDirectory()).iterdir()} - before
    assert left == {f"model-{digest}" for digest in digests}


@pytest.mark.slow
def test_a_row_is_missing_when_each_version_in_the_table_would_score_it(plant: Plant) -> None:
    models = {
        "1": version(plant.spark, plant.folder, "1", "pump"),
        "2": version(plant.spark, plant.folder, "2", "pump", "fan"),
    }
    plant.create("device_features", "anomaly_scores")
    head = "device_id string|device_type string|window_start timestamp|window_date date|count bigint|power_mean double"
    times = [f"2026-01-{day} 0{hour}:00:00|2026-01-{day}" for day in ("01", "02") for hour in (0, 1)]
    given = "\n".join(f"{d}|{d}|{time}|5|{n}" for n, time in enumerate(times) for d in ("pump", "fan"))
    columns = BY_NAME["device_features"].columns(plant.fleet)
    features = frame(plant.spark, f"{head}\n{given}")
    missing = [F.lit(None).cast(kind).alias(name) for name, kind in columns if name not in features.columns]
    whole = features.select("*", *missing).select(*[name for name, _ in columns])
    append(plant.catalog.handle("device_features"), whole, columns, None)
    stored = plant.read("device_features")
    # Version 1, which does not know fans, scores the first day, and version 2 the second.
    for number, model in models.items():
        of_day = stored.where(f"day(window_start) = {number}")
        scores = anomaly_scores(of_day, model, plant.fleet)
        append(plant.catalog.handle("anomaly_scores"), scores, BY_NAME["anomaly_scores"].columns(plant.fleet), None)

    def differing(high: datetime | None = None) -> list[tuple[int, int]]:
        checks = verify(plant.catalog, plant.fleet, lambda _, v: models[v], None, high, ["anomaly_scores"])
        return [(check.rows, check.differing) for check in checks]

    assert differing() == [(6, 0)]
    # The range has no score and so no version: the versions of the whole table are used.
    plant.catalog.handle("anomaly_scores").delete("device_id = 'pump' AND window_start = '2026-01-01 00:00:00'")
    assert differing(datetime(2026, 1, 1, 0, 5, tzinfo=UTC)) == [(0, 1)]


def test_rows_of_a_renamed_device_type_are_reported_and_not_used_in_training(
    spark: SparkSession, fleet: Fleet, tmp_path: Path
) -> None:
    columns = BY_NAME["device_features"].columns(fleet)
    rows = spark.createDataFrame([("a", "old_pump")], "device_id string, device_type string").select(
        "*", *[F.lit(None).cast(kind).alias(name) for name, kind in columns[2:]]
    )
    failures = spark.createDataFrame([], "device_id string, failed_at timestamp")
    registry = Registry(f"sqlite:///{tmp_path}/m.db", f"sqlite:///{tmp_path}/m.db")
    with pytest.raises(ModelError, match=r"rows of the types old_pump only, and sensors.yml has pump: rebuild"):
        train(rows, failures, fleet, registry=registry, data_version="test")


def test_blank_lines_among_failures_are_ignored(plant: Plant) -> None:
    failure = '{"device_id": "pump-1", "failed_at": "2026-01-31T12:00:00Z", "kind": "wear"}'
    (plant.folder / "failures.jsonl").write_text(f"\n{failure}\n \t\n\n", encoding="utf-8")
    assert load_failures(plant.catalog, plant.folder / "failures.jsonl").inserted == 1


def test_model_look_ups_in_threads_keep_stderr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    registry = Registry(store, store)
    registry.client().create_registered_model(registry.name("anomaly"))
    stderr, seen = sys.stderr, []
    original = MlflowClient.get_model_version_by_alias

    def record(client: MlflowClient, *names: str) -> object:
        seen.append(sys.stderr)
        return original(client, *names)

    monkeypatch.setattr(MlflowClient, "get_model_version_by_alias", record)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(registry.champion, ["anomaly"] * 8))
    assert found == [None] * 8
    assert seen == [stderr] * 8
    assert sys.stderr is stderr
