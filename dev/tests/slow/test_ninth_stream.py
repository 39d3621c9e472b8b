"""A ninth stream is one declaration and one function: the job files name its group."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dev.tests import ninth_stream
from dev.tests.runner.bundles import ROOT, Running, project
from sensor_streams_dev.simulate import Simulation, simulate
from tests.plant import Plant

pytestmark = pytest.mark.slow
NAME = "readings_of_days"


def add_stream(folder: Path) -> None:
    """Add the stream to a copy of the project."""
    package = folder / "src" / "sensor_streams"
    shutil.copytree(ROOT / "src" / "sensor_streams", package, ignore=shutil.ignore_patterns("__pycache__"))
    streams = package / "streams.py"
    text = streams.read_text("utf-8")
    for old, new in ninth_stream.edits(NAME):
        assert text.count(old) == 1, f"streams.py no longer has {old!r}, or has it twice"
        text = text.replace(old, new)
    streams.write_text(text, "utf-8")
    (package / "features" / f"{NAME}.py").write_text(ninth_stream.function(NAME), "utf-8")


def test_a_ninth_stream_runs_in_a_job_with_the_other_eight(plant: Plant) -> None:
    folder = project(plant)
    add_stream(folder)
    environment = {"PYTHONPATH": f"{folder / 'src'}:{ROOT / 'dev' / 'src'}"}
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    simulation = Simulation(plant.fleet, devices=2, mean_life=timedelta(hours=2))
    assert simulate(simulation, plant.landing, begin, begin + timedelta(hours=1)).files
    with Running(folder, "--target", "dev", job="shared_cluster", environment=environment) as running:
        assert running.wait(400) == 0, running.output()
    (start,) = running.find("start")
    assert not [line for line in start["warnings"] if NAME in line], start
    (place,) = (plant.folder / "tables").rglob(NAME)
    table = plant.spark.read.format("delta").load(str(place))
    stored = {(row["device_id"], row["day"]): row["windows"] for row in table.collect()}
    windows = plant.read("sensor_features").groupBy("device_id").count().collect()
    assert stored, "the stream wrote rows"
    assert {device: number for (device, _), number in stored.items()} == {row[0]: row[1] for row in windows}
