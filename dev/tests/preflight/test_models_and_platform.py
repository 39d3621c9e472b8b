"""Champions as a real registry has them, and the machine as it is."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema

from dev.tests.preflight.jobs import FLEET, expected_of
from sensor_streams.inference.registry import Registry
from sensor_streams.preflight.checks import model, platform
from sensor_streams.preflight.facts import Facts, ModelFacts, PlatformFacts, Unknown
from sensor_streams.preflight.findings import Finding
from sensor_streams.preflight.model_facts import gather_models
from sensor_streams.preflight.platform_facts import RUNTIME, gather_platform
from sensor_streams.preflight.unchecked import of_models, of_platform
from sensor_streams.streams import BY_NAME

MEANT = expected_of([BY_NAME["anomaly_scores"]])
GIVEN = [ColSpec("string", "device_type"), ColSpec("double", next(iter(FLEET.sensors)) + "_mean", required=False)]


class Constant(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A model that says the same of every row."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        return pd.DataFrame({"score": 1.0}, index=model_input.index)


def registry_at(folder: Path) -> Registry:
    address = f"sqlite:///{folder}/mlflow.db"
    return Registry(address, address, artifacts=str(folder / "artifacts"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with one champion of each kind that fits the features."""
    folder = tmp_path_factory.mktemp("registry")
    registry = registry_at(folder)
    signature = ModelSignature(Schema(GIVEN), Schema([ColSpec("double", "score")]))
    versions = [registry.log(kind, Constant(), signature, {}, {}, {}) for kind in ("anomaly", "remaining_life")]
    registry.promote(versions)
    return folder


def findings(models: Mapping[str, ModelFacts | Unknown], python: str = "") -> list[Finding]:
    told = PlatformFacts({}, {}, None, None, None, python)
    return list(model.check(Facts(MEANT, {}, {}, {}, models=models, platform=told)))


def test_a_champion_that_fits_is_silent(store: Path) -> None:
    models = gather_models(registry_at(store), ["anomaly", "remaining_life"])
    told = models["anomaly"]
    assert isinstance(told, ModelFacts)
    assert told.version == "1"
    assert told.inputs == {"device_type": "string", GIVEN[1].name: "double"}
    assert told.optional == {GIVEN[1].name}
    assert findings(models, gather_platform(str(store)).python) == []


def test_no_champion_is_a_warning_and_a_registry_that_is_not_there_has_none(tmp_path: Path) -> None:
    found = findings(gather_models(registry_at(tmp_path), ["anomaly"]))
    assert [(one.check, one.severity) for one in found] == [("model.no-champion", "warning")]
    assert list(tmp_path.iterdir()) == [], "asking makes no store"


def test_a_version_whose_files_are_gone_is_found(store: Path) -> None:
    aside = store / "aside"
    (store / "artifacts").rename(aside)
    try:
        found = findings(gather_models(registry_at(store), ["anomaly"]))
    finally:
        shutil.rmtree(store / "artifacts", ignore_errors=True)
        aside.rename(store / "artifacts")
    assert [(one.check, one.severity) for one in found] == [("model.version-gone", "error")]


def test_a_registry_that_cannot_be_read_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database, and long enough to be taken for a broken one" * 20)
    models = gather_models(registry_at(tmp_path), ["anomaly"])
    assert isinstance(models["anomaly"], Unknown)
    assert findings(models) == []
    assert [one.subject for one in of_models(models)] == ["model anomaly"]


def test_a_registry_that_does_not_answer_is_no_pass_when_the_time_is_over() -> None:
    # Nothing listens there; MLflow would try for minutes.
    dead = Registry("http://127.0.0.1:1", "http://127.0.0.1:1")
    told = gather_models(dead, ["anomaly"], seconds=0.5)["anomaly"]
    assert isinstance(told, Unknown)


FITTING = ModelFacts("anomaly", "4", {"device_type": "string"}, "3.12.3")


@pytest.mark.parametrize(
    ("change", "check", "severity", "names"),
    [
        ({"inputs": {"device_type": "long"}}, "model.signature", "error", "device_type: long in the model, string"),
        ({"inputs": {"nobody_mean": "double"}}, "model.signature", "error", "nobody_mean"),
        (
            {"inputs": {"nobody_mean": "double"}, "optional": frozenset({"nobody_mean"})},
            "model.signature",
            "warning",
            "nobody_mean",
        ),
        ({"inputs": {}}, "model.signature", "error", "no signature"),
        ({"inputs": {"device_type": "tensor"}}, "model.signature", "error", "tensor"),
        ({"python": "3.11.7"}, "model.python", "warning", "3.11.7"),
        ({"problems": ("it has no pyfunc flavour",)}, "model.flavour", "error", "no pyfunc"),
        ({"refused": "it raised", "in_place": "3"}, "model.refused", "error", "it raised; version 3 scores"),
        ({"refused": "it raised"}, "model.refused", "error", "anomaly_scores waits and keeps its input"),
        ({"gone": "no file"}, "model.version-gone", "error", "no file"),
    ],
)
def test_what_does_not_fit_is_found(change: Mapping[str, Any], check: str, severity: str, names: str) -> None:
    assert findings({"anomaly": FITTING}, "3.12.9") == []
    (found,) = findings({"anomaly": replace(FITTING, **change)}, "3.12.9")
    assert (found.check, found.severity) == (check, severity)
    assert names in found.found


def on(told: PlatformFacts) -> list[Finding]:
    return list(platform.check(Facts(MEANT, {}, {}, {}, platform=told)))


def test_this_machine_is_what_the_project_is_built_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)
    told = gather_platform(str(tmp_path / "not" / "yet"))
    assert {one.check for one in on(told)} <= {"platform.disk", "platform.memory"}
    assert told.versions["pyspark"].startswith("4.1")
    assert told.free_disk == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)
    assert list(of_platform(told)) == []


def test_a_cluster_is_known_by_its_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "18.1")
    assert [one.check for one in on(gather_platform("/Volumes/a/b/c")) if one.subject == RUNTIME] == []
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "16.4")
    assert [one.check for one in on(gather_platform("/Volumes/a/b/c")) if one.subject == RUNTIME] == [
        "platform.version"
    ]


WELL = PlatformFacts({"pyspark": "4.1.4"}, {"pyspark": "4.1"}, 10 * platform.GIB, 4 * platform.GIB, 0.4)


@pytest.mark.parametrize(
    ("change", "check", "severity"),
    [
        ({"versions": {"pyspark": "4.10.0"}}, "platform.version", "error"),
        ({"versions": {"pyspark": "4"}}, "platform.version", "error"),
        ({"free_disk": platform.GIB // 2}, "platform.disk", "error"),
        ({"free_memory": platform.GIB // 2}, "platform.memory", "warning"),
        ({"skew": 90.0}, "platform.clock", "warning"),
        ({"skew": -1000.0}, "platform.clock", "error"),
    ],
)
def test_a_machine_that_does_not_fit_is_found(change: Mapping[str, Any], check: str, severity: str) -> None:
    assert on(WELL) == []
    (found,) = on(replace(WELL, **change))
    assert (found.check, found.severity) == (check, severity)


def test_what_the_machine_does_not_tell_is_no_pass() -> None:
    silent = replace(WELL, free_disk=Unknown("a"), free_memory=Unknown("b"), skew=Unknown("c"))
    assert on(silent) == []
    assert [one.check for one in of_platform(silent)] == ["platform.disk", "platform.memory", "platform.clock"]
