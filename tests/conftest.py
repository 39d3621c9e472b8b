"""One Spark session per test process, and what every test may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sensor_streams.fleet import Fleet, load_fleet
from sensor_streams.session import local_session

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session of this test process: the settings of `sensor_streams.session`, each with its reason there."""
    folder = tmp_path_factory.mktemp("spark")
    session = local_session("tests", folder / "spark.log", cores=2, warehouse=folder / "warehouse")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    """The fleet of the repository's own sensors.yml."""
    return load_fleet(ROOT / "sensors.yml")
