"""The command with a workspace: names, exit codes, and only GET requests. Without Spark."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dabs_lab.bundle import load_bundle
from dabs_lab.jobs import job_spec
from dev.tests.preflight.double import PRINCIPAL, TOKEN, UNITY, Double, external, fill, refusal
from sensor_streams.fleet import load_fleet
from sensor_streams.preflight.expected import expected_of
from sensor_streams.preflight.facts import Expected
from sensor_streams_dev import cli
from sensor_streams_dev.preflight.job_settings import job_streams
from tests.policies.golden import copy_bundle

Result = tuple[int, dict[str, Any]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's bundle."""
    return copy_bundle(tmp_path)


@pytest.fixture
def expected(project: Path) -> Expected:
    """Configuration of the task in dev, for the caller."""
    bundle = load_bundle(project, "dev", variables={"catalog": "main"}, user=PRINCIPAL)
    (bound,) = job_streams(job_spec(bundle, "single_task"), str, lambda task: {})
    return expected_of(bound.settings, bound.streams, load_fleet(project / "sensors.yml"))


@pytest.fixture
def run(double: Double, project: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Return a function that runs the command and returns its exit code and JSON object."""

    def run(*words: str) -> Result:
        here = ["--local", str(project / "local.yml"), "--target", "dev", "--var", "catalog=main"]
        with pytest.raises(SystemExit) as exited:
            cli.main(["preflight", "single_task", "--workspace", "--json", *here, *words])
        output = capsys.readouterr()
        assert TOKEN not in output.out + output.err
        assert isinstance(exited.value.code, int)
        return exited.value.code, json.loads(output.out)

    return run


def test_names_in_development_mode_are_the_callers_and_all_requests_are_gets(
    double: Double, expected: Expected, run: Callable[..., Result]
) -> None:
    assert expected.schema.startswith("dev_runner_")
    fill(double, expected)
    code, report = run()
    assert report["findings"] == []
    assert code == 4, "without a warehouse the tables are not read"
    assert {one["because"] for one in report["unchecked"] if one["check"] == "location"} == {
        "tables of a workspace are read by a SQL warehouse: give --warehouse"
    }
    assert report["families"]["rights"] > 10
    assert any("checkpoints" in note for note in report["notes"])
    assert {method for method, path in double.calls if path.startswith(UNITY)} == {"GET"}


def test_an_unreachable_table_and_a_missing_privilege_are_found(
    double: Double, expected: Expected, run: Callable[..., Result]
) -> None:
    fill(double, expected)
    name = expected.full("alerts")
    double.records[f"{UNITY}/tables/{name}"] = {"owner": "platform", **external(name, "s3://elsewhere/alerts")}
    double.grants["table", expected.full("readings")] = {PRINCIPAL: ["SELECT"]}
    code, report = run()
    assert code == 1
    found = {one["check"]: one for one in report["findings"]}
    assert set(found) == {"location.outside-external-location", "rights.missing"}
    assert found["location.outside-external-location"]["found"] == "s3://elsewhere/alerts"
    assert found["rights.missing"]["command"].startswith("GRANT MODIFY ON TABLE ")


def test_a_failed_list_of_other_tables_is_unchecked(
    double: Double, expected: Expected, run: Callable[..., Result]
) -> None:
    fill(double, expected)
    double.faults[f"{UNITY}/tables"] = lambda _: refusal(403, "PERMISSION_DENIED", "no listing for you")
    code, report = run()
    assert code == 4
    (missing,) = [one for one in report["unchecked"] if one["subject"] == "other tables"]
    assert "no listing for you" in missing["because"]
