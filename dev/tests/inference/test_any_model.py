"""Any registered pyfunc scores, or is refused with the reason and the version before scores; no row is lost."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from pyspark.sql import functions as F
from sklearn.base import BaseEstimator

from sensor_streams.errors import NoModelError
from sensor_streams.incremental.stream import Batch, Outcome
from sensor_streams.incremental.transactions import append
from sensor_streams.inference.champions import FILE, Champion, score_with_champion
from sensor_streams.inference.registry import LoadedModel, ModelVersion, silence_mlflow
from sensor_streams.inference.scoring import anomaly_scores
from sensor_streams.streams import BY_NAME
from tests.plant import Plant
from tests.rows import frame

SIGNATURE = ModelSignature(
    Schema([ColSpec("string", "device_type"), ColSpec("double", "power_mean", required=False)]), None
)


def score(rows: pd.DataFrame) -> pd.DataFrame:
    """Score rows as the good models of these tests do."""
    return pd.DataFrame({"score": rows["power_mean"].to_numpy() / 10, "contributing_sensors": [["power"]] * len(rows)})


class Estimator(BaseEstimator):  # type: ignore[misc]
    """A scikit-learn estimator: its flavour has no PythonModel to unwrap."""

    def fit(self, rows: Any, labels: Any = None) -> "Estimator":
        return self

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        return score(rows)


class Custom(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A user's own model that predicts with the given function."""

    def __init__(self, function: Callable[[pd.DataFrame], Any], empties_input: bool = False) -> None:
        self.function, self.empties_input = function, empties_input

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        output = self.function(model_input)
        if self.empties_input:
            model_input.drop(model_input.index, inplace=True)
        return output


def untyped_function(model_input):  # type: ignore[no-untyped-def]
    """Score with a function that has no type hints, from which MLflow would infer a signature."""
    return score(model_input).to_dict("records")


def register(plant: Plant, model: Any, signature: ModelSignature | None = SIGNATURE) -> ModelVersion:
    """Log and register a model as users do, and make it champion."""
    silence_mlflow()
    registry = plant.registry
    client = registry.client()
    mlflow.set_tracking_uri(registry.tracking_uri)
    mlflow.set_registry_uri(registry.registry_uri)
    known = client.get_experiment_by_name("own")
    place = (plant.folder / "models" / "own").absolute().as_uri()
    experiment = known.experiment_id if known else client.create_experiment("own", artifact_location=place)
    name = {"name": "model", "registered_model_name": registry.name("anomaly"), "pip_requirements": []}
    with mlflow.start_run(experiment_id=experiment):
        if isinstance(model, BaseEstimator):
            info = mlflow.sklearn.log_model(model, signature=signature, serialization_format="cloudpickle", **name)
        else:
            info = mlflow.pyfunc.log_model(python_model=model, signature=signature, **name)
    version = ModelVersion(registry.name("anomaly"), str(info.registered_model_version))
    registry.promote([version])
    return version


def features(plant: Plant, hour: int, *power: float) -> None:
    """Store feature rows of one hour, one device for each value."""
    columns = BY_NAME["device_features"].columns(plant.fleet)
    head = "device_id string|device_type string|window_start timestamp|window_date date|count bigint|power_mean double"
    given = "\n".join(f"pump-{n}|pump|2026-01-01 {hour:02}:00:00|2026-01-01|5|{value}" for n, value in enumerate(power))
    rows = frame(plant.spark, f"{head}\n{given}")
    missing = [F.lit(None).cast(kind).alias(name) for name, kind in columns if name not in rows.columns]
    whole = rows.select("*", *missing).select(*[name for name, _ in columns])
    append(plant.catalog.handle("device_features"), whole, columns, None)


def versions(plant: Plant) -> dict[int, set[str]]:
    """Return the versions that scored the rows of each hour."""
    rows = plant.read("anomaly_scores").select(F.hour("window_start").alias("hour"), "model_version").distinct()
    found: dict[int, set[str]] = {}
    for row in rows.collect():
        found.setdefault(row["hour"], set()).add(row["model_version"])
    return found


@pytest.fixture
def ready(plant: Plant) -> Plant:
    """Return a plant with its tables, and features of one hour."""
    plant.create("device_features", "anomaly_scores")
    features(plant, 0, 10, 20)
    return plant


def test_each_flavour_and_output_format_gives_the_same_scores(ready: Plant) -> None:
    models: dict[str, Any] = {
        "flavour of scikit-learn": Estimator(),
        "function": untyped_function,
        "frame": Custom(score),
        "dict": Custom(lambda rows: {name: column.tolist() for name, column in score(rows).items()}),
        "records": Custom(lambda rows: score(rows).to_dict("records")),
        "array": Custom(lambda rows: score(rows).to_numpy()),
        "empties its input": Custom(score, empties_input=True),
    }
    rows = ready.read("device_features")
    for name, model in models.items():
        version = register(ready, model)
        loaded = ready.registry.load(ready.spark, "anomaly", version.version)
        found = anomaly_scores(rows, loaded, ready.fleet).orderBy("device_id").collect()
        assert [(r["score"], r["contributing_sensors"], r["model_version"]) for r in found] == [
            (1.0, ["power"], version.version),
            (2.0, ["power"], version.version),
        ], name


def broken(rows: pd.DataFrame) -> pd.DataFrame:
    raise KeyError("what it wants")


def missing_package(rows: pd.DataFrame) -> pd.DataFrame:
    import package_that_nobody_has  # type: ignore[import-not-found]

    scores: pd.DataFrame = package_that_nobody_has.scores(rows)
    return scores


class Unloadable(Custom):
    """A model whose files need a module that is missing."""

    def load_context(self, context: Any) -> None:
        raise ModuleNotFoundError("No module named 'xgboost'")


def fails_on_great_values(rows: pd.DataFrame) -> pd.DataFrame:
    if (rows["power_mean"] > 1000).any():
        raise ValueError("a value out of range")
    return score(rows)


def has_no_result_for_small_values(rows: pd.DataFrame) -> pd.DataFrame:
    found = score(rows)
    found.loc[found["score"] < 3, "score"] = float("nan")
    return found


def exits(rows: pd.DataFrame) -> pd.DataFrame:
    raise SystemExit(3)


def crashes(rows: pd.DataFrame) -> pd.DataFrame:
    import os

    os._exit(3)


def lists(model_input: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return model_input


BAD: dict[str, tuple[Any, str]] = {
    "no column": (Custom(lambda rows: score(rows)[["score"]]), "no column contributing_sensors"),
    "length": (Custom(lambda rows: score(rows).iloc[:-1]), "rows of input"),
    "type": (Custom(lambda rows: score(rows).astype({"score": str})), "a str in score"),
    "null": (Custom(lambda rows: score(rows).assign(contributing_sensors=None)), "a null in contributing_sensors"),
    "raises": (Custom(broken), "KeyError: 'what it wants'"),
    "exits": (Custom(exits), "SystemExit: 3"),
    "crashes": (Custom(crashes), "crashed"),
    "unloadable": (Unloadable(score), "it cannot be loaded: ModuleNotFoundError: No module named 'xgboost'"),
    "column": (Custom(score), "reads gone_mean, and device_features has no such column"),
    "no signature": (Custom(score), "no signature"),
}
OTHER = ModelSignature(Schema([ColSpec("double", "power_mean", required=False), ColSpec("double", "gone_mean")]), None)
SIGNATURES = {"column": OTHER, "no signature": None}


def batch(plant: Plant, hour: int) -> Outcome:
    """Score the features of an hour as one batch of a new process."""
    stream = BY_NAME["anomaly_scores"]
    folder = plant.folder / "checkpoints" / "anomaly_scores"
    scored = plant.read("anomaly_scores").select("model_version").distinct()
    champion = Champion(
        plant.spark, plant.registry, "anomaly", 60, folder, lambda: [row["model_version"] for row in scored.collect()]
    )
    changes = plant.read("device_features").where(F.hour("window_start") == hour)
    tables = plant.handles("anomaly_scores")

    def score(model: LoadedModel) -> Outcome:
        return stream.scope.process_batch(changes, Batch(stream, plant.fleet, tables, model=model))

    return score_with_champion(champion, score, lambda: None)


@pytest.mark.slow
def test_a_bad_version_is_reported_and_the_last_good_one_scores_all_rows(ready: Plant) -> None:
    good = register(ready, Custom(score)).version
    assert batch(ready, 0).model == good
    record = ready.folder / "checkpoints" / "anomaly_scores" / FILE
    for hour, (kind, (model, reason)) in enumerate(BAD.items(), 1):
        bad = register(ready, model, SIGNATURES.get(kind, SIGNATURE))
        features(ready, hour, 30, 40 + hour)
        # The first batch of a champion: only the file next to the checkpoint is known.
        done = batch(ready, hour)
        assert done.model == good, kind
        assert done.refused is not None, kind
        assert done.refused.startswith(f"anomaly version {bad.version}: "), kind
        assert reason in done.refused, kind
        expected = {"good": [good], "refused": bad.version, "reason": done.refused.partition(": ")[2]}
        assert json.loads(record.read_text("utf-8")) == expected
    assert set().union(*versions(ready).values()) == {good}
    assert ready.count("anomaly_scores") == ready.count("device_features")
    # Without the file, the versions in the table's rows are used.
    record.unlink()
    features(ready, 20, 5)
    assert batch(ready, 20).model == good
    # The next good version is used.
    better = register(ready, Estimator()).version
    features(ready, 21, 5)
    assert batch(ready, 21).model == better
    assert ready.count("anomaly_scores") == ready.count("device_features")
    assert ready.differing("anomaly_scores") == []


def test_without_a_usable_version_the_stream_waits_with_the_reason_and_keeps_its_input(
    ready: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    bad = register(ready, Custom(broken))
    report = ready.run("anomaly_scores", "alerts", "remaining_life")
    assert report.states["anomaly_scores"] == "WAITING_FOR_MODEL"
    assert f"anomaly version {bad.version} is not used (it failed on " in report.waits["anomaly_scores"]
    assert "KeyError: 'what it wants'" in report.waits["anomaly_scores"]
    assert report.states["alerts"] == "DONE", "the others go on"
    assert ready.count("anomaly_scores") == 0
    # Two that are refused before a batch. Type hints of a function become its signature, without column names.
    hints = register(ready, lists)
    assert "a signature that does not name its inputs" in ready.run("anomaly_scores").waits["anomaly_scores"], hints
    no_signature = register(ready, Custom(score), None)
    report = ready.run("anomaly_scores")
    assert f"version {no_signature.version} is not used (it has no signature" in report.waits["anomaly_scores"]
    features(ready, 1, 30)
    good = register(ready, Custom(score)).version
    assert ready.run("anomaly_scores").states == {"anomaly_scores": "DONE"}
    assert versions(ready) == {0: {good}, 1: {good}}
    # The whole stream, with a bad champion after the good one.
    worse = register(ready, Custom(broken)).version
    features(ready, 2, 30)
    ready.figures.clear()
    with caplog.at_level(logging.WARNING):
        ready.run("anomaly_scores")
    (figures,) = [f for f in ready.figures if f.rows_out]
    assert (figures.model_version, figures.rows_out) == (good, 1)
    assert f"anomaly version {worse}: it failed on " in str(figures.model_refused)
    assert f"model anomaly version {worse} is not used: " in caplog.text
    assert ready.count("stream_progress", f"model_refused LIKE '%version {worse}:%' AND model_version = '{good}'") == 1
    # A replay of all batches by another version writes nothing.
    before = ready.version("anomaly_scores")
    shutil.rmtree(Path(ready.settings().checkpoints) / "anomaly_scores" / "checkpoint")
    register(ready, Estimator())
    ready.run("anomaly_scores")
    assert ready.version("anomaly_scores") == before
    assert ready.count("anomaly_scores") == ready.count("device_features")
    assert ready.differing("anomaly_scores") == []


def test_a_version_whose_files_come_back_scores_again_in_the_same_process(ready: Plant) -> None:
    older, newer = register(ready, Custom(score)).version, register(ready, Custom(score)).version
    champion = Champion(ready.spark, ready.registry, "anomaly", interval=0, scored=lambda: [older])
    files, elsewhere = ready.folder / "models" / "own", ready.folder / "models" / "elsewhere"
    files.rename(elsewhere)
    for _ in range(2):
        with pytest.raises(NoModelError, match=rf"version {newer} is not used \(it cannot be downloaded"):
            champion.exists()
    elsewhere.rename(files)
    assert champion.current().version == newer
    assert champion.refusal is None
    # While the files of a new champion are away, a version before it scores.
    newest = register(ready, Custom(score)).version
    folder = max(files.rglob("MLmodel"), key=lambda file: file.stat().st_mtime_ns).parent
    aside = folder.rename(folder.with_name("aside"))
    assert [champion.current().version for _ in range(2)] == [older, older]
    aside.rename(folder)
    assert champion.current().version == newest


def test_no_row_is_lost_by_a_version_that_fails_later_or_has_no_result(ready: Plant) -> None:
    first = register(ready, Custom(score)).version
    batch(ready, 0)
    second = register(ready, Custom(fails_on_great_values)).version
    features(ready, 1, 30)
    batch(ready, 1)
    features(ready, 2, 30, 5000)
    batch(ready, 2)
    assert versions(ready) == {0: {first}, 1: {second}, 2: {first}}
    # The version that scored last scores rows without a result.
    third = register(ready, Custom(has_no_result_for_small_values)).version
    features(ready, 3, 20, 40)
    batch(ready, 3)
    assert versions(ready)[3] == {third, first}
    assert ready.count("anomaly_scores") == ready.count("device_features")
    assert ready.differing("anomaly_scores") == []
