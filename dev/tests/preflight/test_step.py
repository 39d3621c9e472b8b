"""Preflight of a task: it does not start if data would be lost, and the message says how to continue."""

import json
import logging
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sensor_streams.catalog_file import CatalogFile
from sensor_streams.errors import BindingError, ConfigurationError, PreflightError
from sensor_streams.fleet import Fleet
from sensor_streams.preflight.accepted_findings import ACCEPTED_FILE
from sensor_streams.preflight.findings import docs_of
from sensor_streams.preflight.task_gate import refuse_on_findings
from sensor_streams.stores import catalog_of
from sensor_streams.streams import streams_of
from sensor_streams.table_spec import TableIdentity
from tests.plant import Plant, reading
from tests.rows import FIXTURES

# One process runs them all: they share a plant.
pytestmark = pytest.mark.xdist_group("preflight step")
CHECK = "location.nothing-there"


@pytest.fixture(scope="module")
def ran(spark: SparkSession, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """A plant whose first stream has run, with preflight."""
    folder = tmp_path_factory.mktemp("ran")
    sensors = folder / "sensors.yml"
    shutil.copy(FIXTURES / "fleet.yml", sensors)
    plant = Plant(spark, fleet, folder, sensors)
    plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5)])
    plant.run("readings", preflight="refuse")
    return plant


@pytest.fixture
def misplaced(ran: Plant) -> Iterator[Plant]:
    """The same plant with the entry of its table pointing to an empty path; restored afterwards."""
    before = ran.catalog.identify("readings")
    entries = CatalogFile(ran.folder / "catalog.json")
    entries.add(TableIdentity(before.name, f"{ran.folder}/A/readings", before.table_id))
    yield ran
    entries.add(before)
    (ran.folder / ACCEPTED_FILE).unlink(missing_ok=True)
    # Another catalog object registered the wrong path in the session.
    assert catalog_of(ran.spark, ran.settings()).identify("readings") == before


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def refused(plant: Plant) -> list[str]:
    """Return the lines of the error that stops a start."""
    with pytest.raises(PreflightError) as error:
        plant.run("readings", preflight="refuse")
    return str(error.value).splitlines()


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log messages of preflight."""
    return [record.getMessage() for record in caplog.records if record.name == "sensor_streams.preflight"]


def test_a_refused_task_reads_and_writes_nothing_and_names_problem_place_and_remedy(misplaced: Plant) -> None:
    misplaced.land("b.json", [reading("pump-1", "power", "00:10:00", 6)])
    before = contents(misplaced.folder)
    first, *rest, last = refused(misplaced)
    assert contents(misplaced.folder) == before
    assert ".readings: " in first
    assert "Nothing was read or written, no stream was started." in first
    assert "--preflight=warn" in last
    text = "\n".join(rest)
    assert f"error {CHECK}, " in text
    assert f"{misplaced.folder}/A/readings" in text
    assert f"{misplaced.folder}/tables/readings" in text
    assert docs_of(CHECK) in text


def test_after_the_entry_is_corrected_the_task_runs_and_preflight_takes_seconds(
    ran: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    ran.land("c.json", [reading("pump-1", "power", "00:20:00", 7)])
    with caplog.at_level(logging.INFO, "sensor_streams.preflight"):
        ran.run("readings", preflight="refuse")
    landed = len(list(ran.landing.glob("*.json")))
    assert ran.sums() == (landed, landed, 0, 0)
    (line,) = logged(caplog)
    assert line.startswith("preflight: 0 findings in "), line
    # Below one second on an idle machine.
    assert float(line.split()[-2]) < 10.0, line


def test_with_the_setting_warn_a_task_starts_and_logs_the_finding(
    misplaced: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    # The stream checks its binding itself; no setting turns that off.
    with caplog.at_level(logging.WARNING), pytest.raises(BindingError, match="does not start"):
        misplaced.run("readings", preflight="warn")
    (line,) = logged(caplog)
    assert line.startswith(f"preflight: {CHECK}, ")
    assert "\n" not in line


def test_an_accepted_finding_lets_a_task_start_until_its_date(misplaced: Plant) -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    entry = {"check": CHECK, "subject": "*", "reason": "on the move", "until": tomorrow.isoformat()}
    file = misplaced.folder / ACCEPTED_FILE
    file.write_text(json.dumps({"accepted": [entry]}), "utf-8")
    with pytest.raises(BindingError):
        misplaced.run("readings", preflight="refuse")
    file.write_text(json.dumps({"accepted": [{**entry, "until": "2026-01-01"}]}), "utf-8")
    assert any("accepted until 2026-01-01, which has passed: on the move" in line for line in refused(misplaced))
    # A task does not have the checks of a workspace, but accepts them in the file.
    elsewhere = {**entry, "check": "rights.missing"}
    file.write_text(json.dumps({"accepted": [entry, elsewhere]}), "utf-8")
    with pytest.raises(BindingError):
        misplaced.run("readings", preflight="refuse")
    file.write_text("accepted: [{check: location.moved}]", "utf-8")
    with pytest.raises(ConfigurationError, match=r"preflight.yml line 1, accepted.0.subject: is missing"):
        misplaced.run("readings", preflight="refuse")


def test_an_unchecked_fact_is_logged_and_does_not_stop_the_task(
    ran: Plant, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No server listens there; MLflow would retry for minutes.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    gone = "http://127.0.0.1:9"
    settings = ran.settings(preflight="refuse", tracking_uri=gone, registry_uri=gone, run="a")
    with caplog.at_level(logging.WARNING):
        report = refuse_on_findings(ran.catalog, settings, streams_of(["anomaly_scores"]), ran.fleet)
    assert report is not None
    assert [one.check for one in report.unchecked] == ["model"]
    assert [line for line in logged(caplog) if line.startswith("preflight: could not be checked: model of ")]
