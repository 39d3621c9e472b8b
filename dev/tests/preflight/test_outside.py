"""The command against a workspace: whose names it asks for, how it ends, and that it only asks. Without Spark."""

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
from sensor_streams_dev.preflight.job_settings import bound_of
from tests.policies.golden import copy_bundle

Told = tuple[int, dict[str, Any]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's bundle."""
    return copy_bundle(tmp_path)


@pytest.fixture
def meant(project: Path) -> Expected:
    """What the task of the job is bound to in dev, for the one who asks."""
    bundle = load_bundle(project, "dev", variables={"catalog": "main"}, user=PRINCIPAL)
    (bound,) = bound_of(job_spec(bundle, "single_task"), str, lambda task: {})
    return expected_of(bound.settings, bound.streams, load_fleet(project / "sensors.yml"))


@pytest.fixture
def asked(double: Double, project: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """The command's exit code and its object."""

    def ask(*words: str) -> Told:
        here = ["--local", str(project / "local.yml"), "--target", "dev", "--var", "catalog=main"]
        with pytest.raises(SystemExit) as ended:
            cli.main(["preflight", "single_task", "--workspace", "--json", *here, *words])
        said = capsys.readouterr()
        assert TOKEN not in said.out + said.err
        assert isinstance(ended.value.code, int)
        return ended.value.code, json.loads(said.out)

    return ask


def test_names_of_a_development_target_are_those_of_the_one_who_asks_and_all_is_only_asked(
    double: Double, meant: Expected, asked: Callable[..., Told]
) -> None:
    assert meant.schema.startswith("dev_runner_")
    fill(double, meant)
    code, told = asked()
    assert told["findings"] == []
    assert code == 4, "without a warehouse nobody has read the tables"
    assert {one["because"] for one in told["unchecked"] if one["check"] == "location"} == {
        "only a SQL warehouse reads tables from outside: give --warehouse"
    }
    assert told["families"]["rights"] > 10
    assert any("checkpoints" in note for note in told["notes"])
    assert {method for method, path in double.calls if path.startswith(UNITY)} == {"GET"}


def test_what_is_registered_at_a_place_that_nobody_reaches_is_found_and_so_is_a_right_that_lacks(
    double: Double, meant: Expected, asked: Callable[..., Told]
) -> None:
    fill(double, meant)
    name = meant.full("alerts")
    double.records[f"{UNITY}/tables/{name}"] = {"owner": "platform", **external(name, "s3://elsewhere/alerts")}
    double.grants["table", meant.full("readings")] = {PRINCIPAL: ["SELECT"]}
    code, told = asked()
    assert code == 1
    found = {one["check"]: one for one in told["findings"]}
    assert set(found) == {"location.outside-external-location", "rights.missing"}
    assert found["location.outside-external-location"]["found"] == "s3://elsewhere/alerts"
    assert found["rights.missing"]["command"].startswith("GRANT MODIFY ON TABLE ")


def test_other_tables_that_nobody_could_list_are_told_and_not_taken_for_none(
    double: Double, meant: Expected, asked: Callable[..., Told]
) -> None:
    fill(double, meant)
    double.faults[f"{UNITY}/tables"] = lambda _: refusal(403, "PERMISSION_DENIED", "no listing for you")
    code, told = asked()
    assert code == 4
    (missing,) = [one for one in told["unchecked"] if one["subject"] == "other tables"]
    assert "no listing for you" in missing["because"]
