"""Models of several versions: workers, verify, training and the registry."""

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from pyspark import SparkFiles
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sensor_streams.errors import ModelError
from sensor_streams.failures import load_failures
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.transactions import append
from sensor_streams.inference.registry import Registry
from sensor_streams.inference.scoring import anomaly_scores
from sensor_streams.inference.training import train
from sensor_streams.streams import BY_NAME
from sensor_streams.verify import verify
from tests.models import anomaly_model
from tests.plant import Plant
from tests.rows import frame


def test_a_model_registered_again_under_the_same_version_replaces_the_first_in_workers(
    spark: SparkSession, fleet: Fleet, tmp_path: Path
) -> None:
    head = "device_id string|device_type string|window_start timestamp|window_date date|power_mean double"
    given = "\n".join(f"d{n}|pump|2026-01-01 00:00:00|2026-01-01|5" for n in range(8))
    # More partitions than workers, so that each worker has had both models.
    rows = frame(spark, f"{head}\n{given}").repartition(8, "device_id")

    def score(folder: str, scale: float) -> set[float]:
        model = anomaly_model(spark, tmp_path / folder, "1", "pump", scale=scale)
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
        "1": anomaly_model(plant.spark, plant.folder, "1", "pump"),
        "2": anomaly_model(plant.spark, plant.folder, "2", "pump", "fan"),
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
