"""A ninth stream is one declaration and one function: the job files name its group."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dev.tests.runner.bundles import ROOT, Running, project
from sensor_streams_dev.simulate import Simulation, simulate
from tests.plant import Plant

pytestmark = pytest.mark.slow
FUNCTION = '''
"""Number of windows with readings, by device and day."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.table_spec import Columns


def columns(_: Fleet) -> Columns:
    return [("device_id", "string"), ("day", "timestamp"), ("windows", "bigint")]


def device_days(rows: DataFrame) -> DataFrame:
    day = F.date_trunc("day", "window_start").alias("day")
    return rows.groupBy("device_id", day).agg(F.count(F.lit(1)).alias("windows"))
'''
DECLARATION = """    Stream(
        name="device_days",
        task="feature_extraction",
        sources=("sensor_features",),
        columns=device_days.columns,
        key=("device_id", "day"),
        scope=TimeSlots(("device_id",), "window_start", "day", lambda _: 86400),
        compute=lambda inputs: device_days.device_days(inputs.rows["sensor_features"]),
    ),
"""


def add_stream(folder: Path) -> None:
    """Add the stream `device_days` to a copy of the project."""
    package = folder / "src" / "sensor_streams"
    shutil.copytree(ROOT / "src" / "sensor_streams", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "features" / "device_days.py").write_text(FUNCTION, "utf-8")
    streams = package / "streams.py"
    text = streams.read_text("utf-8")
    assert "import device, sensor" in text
    assert "    scored_stream(" in text
    text = text.replace("import device, sensor", "import device, device_days, sensor", 1)
    streams.write_text(text.replace("    scored_stream(", f"{DECLARATION}    scored_stream(", 1), "utf-8")


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
    assert not [line for line in start["warnings"] if "device_days" in line], start
    (place,) = (plant.folder / "tables").rglob("device_days")
    table = plant.spark.read.format("delta").load(str(place))
    stored = {(row["device_id"], row["day"]): row["windows"] for row in table.collect()}
    windows = plant.read("sensor_features").groupBy("device_id").count().collect()
    assert stored, "the stream wrote rows"
    assert {device: number for (device, _), number in stored.items()} == {row[0]: row[1] for row in windows}
