"""A task looks before it starts: it refuses where data would be lost, and says how to go on."""

import json
import logging
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sensor_streams.errors import ConfigurationError, PreflightFailed
from sensor_streams.fleet import Fleet
from sensor_streams.local.catalog import CatalogFile
from sensor_streams.preflight.accepted import ACCEPTED_FILE
from sensor_streams.preflight.step import refuse_on_findings
from sensor_streams.preflight.words import docs_of
from sensor_streams.streams import streams_of
from sensor_streams.tables import TableIdentity
from tests.plant import Plant, reading
from tests.rows import FIXTURES

NAMES = ("readings", "sensor_features")


@pytest.fixture(scope="module")
def ran(spark: SparkSession, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """A plant whose first two streams have run twice, each start with its preflight."""
    folder = tmp_path_factory.mktemp("ran")
    sensors = folder / "sensors.yml"
    shutil.copy(FIXTURES / "fleet.yml", sensors)
    plant = Plant(spark, fleet, folder, sensors)
    plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5)])
    plant.run(*NAMES, preflight="refuse")
    plant.land("b.json", [reading("pump-1", "power", "00:10:00", 6)])
    plant.run(*NAMES, preflight="refuse")
    return plant


@pytest.fixture
def astray(ran: Plant) -> Iterator[Plant]:
    """The same, with the entry of sensor_features at A, where nothing lies, and its data at B; right again after."""
    before = ran.catalog.identify("sensor_features")
    entries = CatalogFile(ran.folder / "catalog.json")
    entries.add(TableIdentity(before.name, f"{ran.folder}/A/sensor_features", before.table_id))
    yield ran
    entries.add(before)
    (ran.folder / ACCEPTED_FILE).unlink(missing_ok=True)
    assert ran.catalog.identify("sensor_features") == before


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def refused(plant: Plant, **more: object) -> list[str]:
    """What a start is refused with, in lines."""
    with pytest.raises(PreflightFailed) as told:
        plant.run(*NAMES, preflight="refuse", **more)
    return str(told.value).splitlines()


def test_a_new_plant_and_a_next_start_are_healthy(ran: Plant) -> None:
    assert ran.differing(*NAMES) == []
    assert ran.count("readings") == 2


def test_a_task_is_refused_before_it_reads_or_writes_and_told_what_where_and_what_to_do(astray: Plant) -> None:
    astray.land("c.json", [reading("pump-1", "power", "00:20:00", 7)])
    before = contents(astray.folder)
    first, *rest = refused(astray)
    last = rest[-1]
    assert contents(astray.folder) == before
    assert "sensor_features: " in first
    assert "Nothing was read or written, no stream was started." in first
    assert "--preflight=warn" in last
    text = "\n".join(rest)
    assert "found:" in text
    assert f"{astray.folder}/A/sensor_features" in text
    assert "expected:" in text
    assert f"{astray.folder}/tables/sensor_features" in text
    check = next(line for line in rest if line.startswith("error location.")).split()[1].rstrip(",")
    assert docs_of(check) in text


def test_the_entry_set_right_lets_it_go_on_and_nothing_is_missing(ran: Plant) -> None:
    ran.land("d.json", [reading("pump-1", "power", "00:30:00", 8)])
    ran.run(*NAMES, preflight="refuse")
    assert ran.differing(*NAMES) == []


def test_the_named_setting_lets_a_task_start_and_the_finding_is_a_line_of_its_log(
    astray: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(Exception, match="sensor_features") as told:
        astray.run(*NAMES, preflight="warn")
    # The streams' own look at what they are bound to is another line of defence, and no setting turns it off.
    assert not isinstance(told.value, PreflightFailed)
    lines = [record.getMessage() for record in caplog.records if record.name == "sensor_streams.preflight"]
    (line,) = [line for line in lines if "sensor_features" in line]
    assert line.startswith("preflight: location.")
    assert "\n" not in line


def test_an_accepted_finding_lets_a_task_start_until_its_day_has_passed(astray: Plant) -> None:
    check = next(line for line in refused(astray) if line.startswith("error ")).split()[1].rstrip(",")
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    entry = {"check": check, "subject": "*", "reason": "on the move", "until": tomorrow.isoformat()}
    file = astray.folder / ACCEPTED_FILE
    file.write_text(json.dumps({"accepted": [entry]}), "utf-8")
    with pytest.raises(Exception, match="sensor_features") as told:
        astray.run(*NAMES, preflight="refuse")
    assert not isinstance(told.value, PreflightFailed)
    file.write_text(json.dumps({"accepted": [{**entry, "until": "2026-01-01"}]}), "utf-8")
    assert any("it was accepted until 2026-01-01, that has ended: on the move" in line for line in refused(astray))
    file.write_text("accepted: [{check: location.moved}]", "utf-8")
    with pytest.raises(ConfigurationError, match=r"preflight.yml line 1, accepted.0.subject: is missing"):
        astray.run(*NAMES, preflight="refuse")


def test_what_cannot_be_checked_is_a_line_of_the_log_and_refuses_nothing(
    ran: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    gone = f"sqlite:///{ran.folder}/nosuch/mlflow.db"
    settings = ran.settings(preflight="refuse", tracking_uri=gone, registry_uri=gone, run="a")
    with caplog.at_level(logging.WARNING):
        report = refuse_on_findings(ran.catalog, settings, streams_of(["anomaly_scores"]), ran.fleet)
    assert report is not None
    (missing,) = report.unchecked
    assert missing.check == "model"
    assert [r.getMessage() for r in caplog.records if "could not be checked: model of" in r.getMessage()]


def test_a_preflight_costs_less_than_two_seconds_and_says_so(ran: Plant, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "sensor_streams.preflight"):
        ran.run(*NAMES, preflight="refuse")
    (line,) = [r.getMessage() for r in caplog.records if r.name == "sensor_streams.preflight"]
    assert line.startswith("preflight: 0 findings in ")
    assert float(line.split()[-2]) < 2.0, line
