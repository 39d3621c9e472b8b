"""One plant that has run, for all tests that break a copy of it."""

import pytest
from pyspark.sql import SparkSession

from sensor_streams.fleet import Fleet
from tests.plant import Plant, reading
from tests.preflight.broken import STREAMS


@pytest.fixture(scope="session")
def original(spark: SparkSession, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """A plant whose first two streams have run twice, with a line that was rejected."""
    plant = Plant(spark, fleet, tmp_path_factory.mktemp("preflight"))
    for number, minutes in enumerate((range(12), range(12, 24))):
        lines = [reading("pump-1", "power", f"00:{minute:02}:00", 5 + minute) for minute in minutes]
        plant.land(f"{number}.json", [*lines, "{"])
        plant.run(*STREAMS)
    return plant
