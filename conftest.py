"""Fixtures for all tests: one Spark session, Delta tables and plants per test process."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import DataFrame, SparkSession

from dabs_lab.local_spark import local_session
from sensor_streams.fleet import Fleet, load_fleet
from sensor_streams.incremental.interpreted import INTERPRETED
from sensor_streams.runtime import process_watch
from sensor_streams_dev.java_options import QUICK
from tests.rows import FIXTURES, rows

if TYPE_CHECKING:
    from tests.plant import Plant

RUNNING_FROM, RUNNING_FOR = datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=5)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow tests first: a long test at the end leaves the other process idle. An xdist group keeps its order."""

    def unit(item: pytest.Item) -> str:
        group = item.get_closest_marker("xdist_group")
        return str(group.args[0]) if group else item.nodeid

    slow = {unit(item) for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: unit(item) not in slow)


@pytest.fixture(autouse=True, scope="session")
def _patient_watch() -> None:
    """Let no slow answer of a busy machine end the process of the tests, in which supervisors run too."""
    process_watch.SLOW = 60.0


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session of this test process, with the settings of `dabs_lab.local_spark`."""
    # Paths with a space and a non-ASCII letter must work everywhere.
    folder = tmp_path_factory.mktemp("spark and ü")
    session = local_session(
        "tests",
        folder / "spark.log",
        # Planning takes most of the time and uses one core: two test processes with a core each are faster.
        cores=1 if "PYTEST_XDIST_WORKER" in os.environ else 2,
        warehouse=folder / "warehouse",
        # A test has few rows. Tests of large batches use the fixture `compiled`, those of commands compile.
        settings=INTERPRETED,
        java_options=QUICK,
    )
    yield session
    session.stop()


@pytest.fixture(scope="module")
def compiled(spark: SparkSession) -> Iterator[None]:
    """Run the queries of a test module by generated code, as large batches do."""
    for name in INTERPRETED:
        spark.conf.unset(name)
    yield
    for name, value in INTERPRETED.items():
        spark.conf.set(name, value)


@pytest.fixture(scope="session")
def delta(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], DataFrame]:
    """A function: name of a fixture → its rows as a Delta table, written once per test process."""
    folder = tmp_path_factory.mktemp("fixtures")
    paths: dict[str, str] = {}

    def table(name: str) -> DataFrame:
        if name not in paths:
            paths[name] = str(folder / name)
            rows(spark, name).write.format("delta").save(paths[name])
        return spark.read.format("delta").load(paths[name])

    return table


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    """The fleet of the tests."""
    return load_fleet(FIXTURES / "fleet.yml")


@pytest.fixture
def plant(spark: SparkSession, fleet: Fleet, tmp_path: Path) -> "Plant":
    """A plant with a landing folder and a catalog, without tables."""
    # MLflow and scikit-learn take two seconds to import; a test of a feature needs neither.
    from tests.plant import Plant

    return Plant(spark, fleet, tmp_path)


@pytest.fixture(scope="session")
def running(spark: SparkSession, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> "Plant":
    """A plant after features, training and inference. Tests that use it belong to the xdist group `streams`."""
    from sensor_streams.runtime.progress import json_lines_to
    from sensor_streams_dev.simulate import Simulation, simulate
    from tests.plant import Plant

    plant = Plant(spark, fleet, tmp_path_factory.mktemp("running"))
    slow = fleet.model_copy(
        update={
            "sensors": {
                name: sensor.model_copy(update={"period": timedelta(minutes=1)})
                for name, sensor in fleet.sensors.items()
            }
        }
    )
    simulation = Simulation(
        slow, devices=3, files_every=timedelta(hours=2), mean_life=timedelta(hours=2), malformed=0.02, duplicates=0.02
    )
    simulate(simulation, plant.landing, RUNNING_FROM, RUNNING_FROM + RUNNING_FOR)
    failures = [
        (device.name, datetime.fromtimestamp(end, UTC).isoformat())
        for device in simulation.all_devices()
        for _, end in device.lives(int((RUNNING_FROM + RUNNING_FOR).timestamp()))
    ]
    assert set(plant.run("feature_extraction").states.values()) == {"DONE"}
    assert plant.run("anomaly_scores", "remaining_life").states == {
        "anomaly_scores": "WAITING_FOR_MODEL",
        "remaining_life": "WAITING_FOR_MODEL",
    }
    plant.train(failures)
    with (plant.folder / "batches.jsonl").open("w", encoding="utf-8") as lines, json_lines_to(lines):
        assert set(plant.run("inference").states.values()) == {"DONE"}
    return plant
