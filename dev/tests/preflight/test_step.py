"""A task looks before it starts: it refuses where data would be lost, and says how to go on."""

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
from sensor_streams.preflight.report import docs_of
from sensor_streams.preflight.task_gate import refuse_on_findings
from sensor_streams.preflight.waivers import ACCEPTED_FILE
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
    """A plant whose first stream has run, its preflight before it."""
    folder = tmp_path_factory.mktemp("ran")
    sensors = folder / "sensors.yml"
    shutil.copy(FIXTURES / "fleet.yml", sensors)
    plant = Plant(spark, fleet, folder, sensors)
    plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5)])
    plant.run("readings", preflight="refuse")
    return plant


@pytest.fixture
def astray(ran: Plant) -> Iterator[Plant]:
    """The same with the entry of its table at A, where nothing lies, and the data at B; right again after."""
    before = ran.catalog.identify("readings")
    entries = CatalogFile(ran.folder / "catalog.json")
    entries.add(TableIdentity(before.name, f"{ran.folder}/A/readings", before.table_id))
    yield ran
    entries.add(before)
    (ran.folder / ACCEPTED_FILE).unlink(missing_ok=True)
    # The session was told of A by another object than the plant's own.
    assert catalog_of(ran.spark, ran.settings()).identify("readings") == before


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def refused(plant: Plant) -> list[str]:
    """What a start is refused with, in lines."""
    with pytest.raises(PreflightError) as told:
        plant.run("readings", preflight="refuse")
    return str(told.value).splitlines()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the preflight logged."""
    return [record.getMessage() for record in caplog.records if record.name == "sensor_streams.preflight"]


def test_a_task_is_refused_before_it_reads_or_writes_and_told_what_where_and_what_to_do(astray: Plant) -> None:
    astray.land("b.json", [reading("pump-1", "power", "00:10:00", 6)])
    before = contents(astray.folder)
    first, *rest, last = refused(astray)
    assert contents(astray.folder) == before
    assert ".readings: " in first
    assert "Nothing was read or written, no stream was started." in first
    assert "--preflight=warn" in last
    text = "\n".join(rest)
    assert f"error {CHECK}, " in text
    assert f"{astray.folder}/A/readings" in text
    assert f"{astray.folder}/tables/readings" in text
    assert docs_of(CHECK) in text


def test_the_entry_set_right_the_task_goes_on_and_its_preflight_costs_seconds(
    ran: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    ran.land("c.json", [reading("pump-1", "power", "00:20:00", 7)])
    with caplog.at_level(logging.INFO, "sensor_streams.preflight"):
        ran.run("readings", preflight="refuse")
    landed = len(list(ran.landing.glob("*.json")))
    assert ran.sums() == (landed, landed, 0, 0)
    (line,) = said(caplog)
    assert line.startswith("preflight: 0 findings in "), line
    # Well below one on a machine with nothing else to do.
    assert float(line.split()[-2]) < 10.0, line


def test_the_named_setting_lets_a_task_start_and_the_finding_is_a_line_of_its_log(
    astray: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    # The stream's own look at what it is bound to is another line of defence, and no setting turns it off.
    with caplog.at_level(logging.WARNING), pytest.raises(BindingError, match="does not start"):
        astray.run("readings", preflight="warn")
    (line,) = said(caplog)
    assert line.startswith(f"preflight: {CHECK}, ")
    assert "\n" not in line


def test_an_accepted_finding_lets_a_task_start_until_its_day_has_passed(astray: Plant) -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    entry = {"check": CHECK, "subject": "*", "reason": "on the move", "until": tomorrow.isoformat()}
    file = astray.folder / ACCEPTED_FILE
    file.write_text(json.dumps({"accepted": [entry]}), "utf-8")
    with pytest.raises(BindingError):
        astray.run("readings", preflight="refuse")
    file.write_text(json.dumps({"accepted": [{**entry, "until": "2026-01-01"}]}), "utf-8")
    assert any("it was accepted until 2026-01-01, that has ended: on the move" in line for line in refused(astray))
    file.write_text("accepted: [{check: location.moved}]", "utf-8")
    with pytest.raises(ConfigurationError, match=r"preflight.yml line 1, accepted.0.subject: is missing"):
        astray.run("readings", preflight="refuse")


def test_what_could_not_be_checked_is_a_line_of_the_log_and_refuses_nothing(
    ran: Plant, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A registry that nobody answers for; MLflow would ask it for minutes.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    gone = "http://127.0.0.1:9"
    settings = ran.settings(preflight="refuse", tracking_uri=gone, registry_uri=gone, run="a")
    with caplog.at_level(logging.WARNING):
        report = refuse_on_findings(ran.catalog, settings, streams_of(["anomaly_scores"]), ran.fleet)
    assert report is not None
    assert [one.check for one in report.unchecked] == ["model"]
    assert [line for line in said(caplog) if line.startswith("preflight: could not be checked: model of ")]
