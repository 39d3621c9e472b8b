"""One plant that has run, for all tests that break a copy of it."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sensor_streams.fleet import Fleet
from tests.plant import Plant, reading
from tests.preflight.broken import STREAMS, Copy


@pytest.fixture(scope="session")
def original(spark: SparkSession, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """A plant whose feature streams have run twice, with a line that was rejected."""
    plant = Plant(spark, fleet, tmp_path_factory.mktemp("preflight"))
    plant.land("0.json", [reading("pump-1", "power", f"00:{minute:02}:00", 5 + minute) for minute in range(12)] + ["{"])
    plant.run(*STREAMS)
    plant.land("1.json", [reading("pump-1", "power", f"00:{minute:02}:00", 5 + minute) for minute in range(12, 24)])
    plant.run(*STREAMS)
    return plant


@pytest.fixture
def copy(original: Plant, tmp_path: Path) -> Copy:
    """A copy of that plant, to be broken."""
    return Copy.of(original, tmp_path / "plant")
