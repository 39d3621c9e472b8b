"""All eight streams with real queries and checkpoints, until their input is drained."""

import json
import shutil
from pathlib import Path

import pytest

from sensor_streams.preflight.task_gate import refuse_on_findings
from sensor_streams.runtime.progress import BatchFigures
from sensor_streams.runtime.task import run_task
from sensor_streams.streams import STREAMS
from tests.plant import Plant, all_names, reading

# One process runs these tests: they share a plant that takes a minute to run.
pytestmark = pytest.mark.xdist_group("streams")


def test_without_a_champion_inference_waits_and_keeps_its_input(running: Plant) -> None:
    # The fixture first ran without models: its windows were scored in a later run.
    assert running.count("anomaly_scores") == running.count("device_features") > 20
    assert running.count("remaining_life") == running.count("device_features")


def test_preflight_finds_nothing_after_a_run_and_a_training(running: Plant) -> None:
    report = refuse_on_findings(running.catalog, running.settings(preflight="refuse"), STREAMS, running.fleet)
    assert report is not None
    assert (report.findings, report.unchecked) == ([], [])
    assert sum(report.families.values()) > 40, "objects were checked"


def test_every_table_follows_from_the_readings_and_every_line_is_counted(running: Plant) -> None:
    assert running.differing() == []
    lines, accepted, rejected, duplicates = running.sums()
    assert lines == accepted + rejected + duplicates
    assert min(accepted, rejected, duplicates) > 10
    assert running.count("alerts") > 0
    assert running.count("alert_events", "kind = 'OPENED'") >= running.count("alerts")


def test_figures_of_every_batch_are_in_one_view(running: Plant) -> None:
    rows = running.read("stream_progress").collect()
    assert {row["stream"] for row in rows} == set(all_names())
    readings = [row for row in rows if row["stream"] == "readings" and row["rows_in"]]
    assert sum(row["rows_out"] for row in readings) == running.count("readings")
    assert all(row["seconds"] >= row["write_seconds"] > 0 for row in readings)


def test_every_batch_is_a_line_of_json(running: Plant) -> None:
    start, *lines = map(json.loads, (running.folder / "batches.jsonl").read_text("utf-8").splitlines())
    assert start["versions"]["spark"] == running.spark.version
    assert {line["stream"] for line in lines} == {s.name for s in STREAMS if s.task == "inference"}
    assert sum(line["rows_out"] for line in lines if line["stream"] == "anomaly_scores") == running.count(
        "anomaly_scores"
    )


@pytest.mark.slow
def test_a_lost_checkpoint_changes_no_table(running: Plant) -> None:
    tables = [*all_names(), "readings_rejected", "ingested_files"]
    before = {name: running.version(name) for name in tables}
    for name in all_names():
        shutil.rmtree(running.folder / "checkpoints" / name / "checkpoint")
    assert set(running.run(max_files=2).states.values()) == {"DONE"}
    assert {name: running.version(name) for name in tables} == before, "a replay writes nothing"
    report = refuse_on_findings(running.catalog, running.settings(preflight="refuse"), STREAMS, running.fleet)
    assert report is not None
    assert (report.findings, report.unchecked) == ([], [])
    assert sum(report.families.values()) > 40, "objects were checked"
    assert running.differing() == []


@pytest.mark.slow
def test_catalog_look_ups_happen_at_start_and_not_in_each_batch(plant: Plant) -> None:
    seen: list[int] = []

    def forget(figures: BatchFigures) -> None:
        # After the first batch every look-up in the catalog fails.
        seen.append(figures.batch_id)
        for table in ("readings", "sensor_features"):
            plant.spark.sql(f"DROP TABLE IF EXISTS {plant.catalog.full_name(table)}")

    for number in range(3):
        plant.land(f"{number}.json", [reading("pump-1", "power", f"00:0{number}:00", 5)])
    plant.run("readings", max_files=1)
    handles = plant.settings(max_files=1)
    assert run_task(plant.spark, handles, ["sensor_features"], fleet=plant.fleet, on_batch=forget).states == {
        "sensor_features": "DONE"
    }
    assert len(seen) >= 3


def test_checkpoint_paths_do_not_depend_on_the_job_shape(running: Plant) -> None:
    folders = {path.name for path in Path(running.settings().checkpoints).iterdir()}
    assert folders == set(all_names())
