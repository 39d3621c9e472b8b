"""Champions in a real registry, and the facts of this machine."""

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

from dev.tests.preflight.jobs import FLEET, expected_of, findings_in
from sensor_streams.inference.registry import Registry
from sensor_streams.preflight.checks.platform import GIB
from sensor_streams.preflight.facts import Facts, ModelFacts, PlatformFacts, Unknown
from sensor_streams.preflight.findings import Finding
from sensor_streams.preflight.model_facts import gather_models
from sensor_streams.preflight.platform_facts import RUNTIME, gather_platform
from sensor_streams.preflight.unchecked import unchecked_models, unchecked_platform
from sensor_streams.streams import BY_NAME

EXPECTED = expected_of([BY_NAME["anomaly_scores"]])
GIVEN = [ColSpec("string", "device_type"), ColSpec("double", next(iter(FLEET.sensors)) + "_mean", required=False)]


class Constant(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A model with the same score for every row."""

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
    platform = PlatformFacts({}, {}, None, None, None, python)
    return list(findings_in("model", Facts(EXPECTED, {}, {}, {}, models=models, platform=platform)))


def test_a_matching_champion_has_no_finding(store: Path) -> None:
    models = gather_models(registry_at(store), ["anomaly", "remaining_life"])
    model = models["anomaly"]
    assert isinstance(model, ModelFacts)
    assert model.version == "1"
    assert model.inputs == {"device_type": "string", GIVEN[1].name: "double"}
    assert model.optional == {GIVEN[1].name}
    assert findings(models, gather_platform(str(store)).python) == []


def test_a_missing_champion_is_a_warning_also_without_a_registry(tmp_path: Path) -> None:
    found = findings(gather_models(registry_at(tmp_path), ["anomaly"]))
    assert [(one.check, one.severity) for one in found] == [("model.no-champion", "warning")]
    assert list(tmp_path.iterdir()) == [], "preflight creates no store"


def test_missing_files_of_a_version_are_found(store: Path) -> None:
    aside = store / "aside"
    (store / "artifacts").rename(aside)
    try:
        found = findings(gather_models(registry_at(store), ["anomaly"]))
    finally:
        shutil.rmtree(store / "artifacts", ignore_errors=True)
        aside.rename(store / "artifacts")
    assert [(one.check, one.severity) for one in found] == [("model.version-gone", "error")]


def test_an_unreadable_registry_is_not_a_pass(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is not a database, and long enough to be read as a broken one" * 20)
    models = gather_models(registry_at(tmp_path), ["anomaly"])
    assert isinstance(models["anomaly"], Unknown)
    assert findings(models) == []
    assert [one.subject for one in unchecked_models(models)] == ["model anomaly"]


def test_a_registry_without_an_answer_in_time_is_not_a_pass() -> None:
    # No server listens there; MLflow would retry for minutes.
    dead = Registry("http://127.0.0.1:1", "http://127.0.0.1:1")
    assert isinstance(gather_models(dead, ["anomaly"], seconds=0.5)["anomaly"], Unknown)


FITTING = ModelFacts("anomaly", "4", {"device_type": "string"}, "3.12.3")


@pytest.mark.parametrize(
    ("change", "check", "severity", "names"),
    [
        ({"inputs": {"device_type": "long"}}, "model.signature", "error", "device_type: long in the model, string"),
        ({"inputs": {"unknown_mean": "double"}}, "model.signature", "error", "unknown_mean"),
        (
            {"inputs": {"unknown_mean": "double"}, "optional": frozenset({"unknown_mean"})},
            "model.signature",
            "warning",
            "unknown_mean",
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
def test_a_champion_that_does_not_match_is_found(
    change: Mapping[str, Any], check: str, severity: str, names: str
) -> None:
    assert findings({"anomaly": FITTING}, "3.12.9") == []
    (found,) = findings({"anomaly": replace(FITTING, **change)}, "3.12.9")
    assert (found.check, found.severity) == (check, severity)
    assert names in found.found


def findings_on(machine: PlatformFacts) -> list[Finding]:
    return list(findings_in("platform", Facts(EXPECTED, {}, {}, {}, platform=machine)))


def test_this_machine_has_supported_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)
    machine = gather_platform(str(tmp_path / "not" / "yet"))
    assert {one.check for one in findings_on(machine)} <= {"platform.disk", "platform.memory"}
    assert machine.versions["pyspark"].startswith("4.1")
    assert machine.free_disk == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)
    assert list(unchecked_platform(machine)) == []


def test_a_cluster_is_checked_by_its_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "18.1")
    assert [one.check for one in findings_on(gather_platform("/Volumes/a/b/c")) if one.subject == RUNTIME] == []
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "16.4")
    assert [one.check for one in findings_on(gather_platform("/Volumes/a/b/c")) if one.subject == RUNTIME] == [
        "platform.version"
    ]


HEALTHY = PlatformFacts({"pyspark": "4.1.4"}, {"pyspark": "4.1"}, 10 * GIB, 4 * GIB, 0.4)


@pytest.mark.parametrize(
    ("change", "check", "severity"),
    [
        ({"versions": {"pyspark": "4.10.0"}}, "platform.version", "error"),
        ({"versions": {"pyspark": "4"}}, "platform.version", "error"),
        ({"free_disk": GIB // 2}, "platform.disk", "error"),
        ({"free_memory": GIB // 2}, "platform.memory", "warning"),
        ({"skew": 90.0}, "platform.clock", "warning"),
        ({"skew": -1000.0}, "platform.clock", "error"),
    ],
)
def test_an_unsuitable_machine_is_found(change: Mapping[str, Any], check: str, severity: str) -> None:
    assert findings_on(HEALTHY) == []
    (found,) = findings_on(replace(HEALTHY, **change))
    assert (found.check, found.severity) == (check, severity)


def test_unknown_facts_of_the_machine_are_not_a_pass() -> None:
    silent = replace(HEALTHY, free_disk=Unknown("a"), free_memory=Unknown("b"), skew=Unknown("c"))
    assert findings_on(silent) == []
    assert [one.check for one in unchecked_platform(silent)] == ["platform.disk", "platform.memory", "platform.clock"]
