"""Incident: a table is registered at A, its data is at B, and two tasks on one cluster are retried."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dev.tests.preflight.broken import findings_of
from dev.tests.runner.bundles import Running, project
from sensor_streams.catalog_file import CatalogFile
from sensor_streams.checkpoint.offsets import position_of
from sensor_streams.table_spec import TableIdentity
from tests.plant import Plant, reading
from tests.policies.edits import set_in_job

# On the same worker as the other tests of the fixture `running`.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("streams")]
TABLE = "anomaly_scores"


def preflight(folder: Path) -> tuple[int, dict[str, Any]]:
    """Return exit code and JSON report of preflight for the job."""
    command = [
        sys.executable,
        "-m",
        "sensor_streams_dev.cli",
        "preflight",
        "shared_cluster",
        "--target",
        "dev",
        "--json",
    ]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert ended.stdout, ended.stderr[-3000:]
    found: dict[str, Any] = json.loads(ended.stdout)
    return ended.returncode, found


def contents(folder: Path) -> dict[str, bytes]:
    """Return path → content of every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_wrong_table_location_stops_the_task_before_a_batch_until_it_is_corrected(
    running: Plant,
) -> None:
    plant, folder = running, project(running)
    # Fewer and faster retries than in the job file.
    for at in (0, 1):
        set_in_job(folder, "shared_cluster", f"tasks.{at}.min_retry_interval_millis", 1000)
        set_in_job(folder, "shared_cluster", f"tasks.{at}.max_retries", 1)
    minutes = range(0, 60, 5)
    plant.land("more.json", [reading("pump-1", "power", f"2026-01-02T10:{minute:02}:00Z", 5) for minute in minutes])
    assert findings_of(plant) == {}

    # A migration: the table is now registered at A, its data is still at B.
    right = plant.catalog.identify(TABLE)
    a = plant.folder / "A" / TABLE
    entries = CatalogFile(plant.folder / "catalog.json")
    entries.add(TableIdentity(right.name, f"file:{a}", right.table_id))
    b, checkpoint = plant.folder / "tables" / TABLE, plant.folder / "checkpoints" / TABLE
    before, position = contents(b), position_of(checkpoint)
    code, report = preflight(folder)
    assert code == 1
    (finding,) = [one for one in report["findings"] if one["severity"] == "error"]
    assert finding["check"] == "location.nothing-there"
    assert TABLE in finding["subject"]
    assert str(a) in finding["found"]
    assert str(b) in finding["found"] + finding["expected"] + finding["command"]

    with Running(folder, "--target", "dev", job="shared_cluster") as job_run:
        assert job_run.wait(300) == 1, job_run.output()
    (features,) = job_run.find("attempt", task="feature_extraction", state="TERMINATED")
    assert features["result"] == "SUCCESS", "the other task succeeds"
    tries = job_run.find("attempt", task="inference", state="TERMINATED")
    assert [one["result"] for one in tries] == ["FAILED", "FAILED"], "every attempt fails"
    for one in tries:
        assert one["message"].startswith(f"{right.name}: ")
        assert "Nothing was read or written, no stream was started." in one["message"]
    (log,) = {str(one["log"]) for one in job_run.find("process", task="inference", number=1)}
    output = Path(log).read_text("utf-8").rstrip().splitlines()
    assert output[-1].endswith("--preflight=warn, a parameter of this task.")
    assert any(str(a) in line for line in output)
    assert not a.exists(), "no second table at A"
    assert contents(b) == before
    assert position_of(checkpoint) == position

    # ALTER TABLE … SET LOCATION in the local catalog.
    entries.add(right)
    with Running(folder, "--target", "dev", job="shared_cluster") as job_run:
        assert job_run.wait(300) == 0, job_run.output()
    assert plant.differing() == []
    assert plant.count(TABLE) == plant.count("device_features") > 10
