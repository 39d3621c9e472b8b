"""A plant that has run, which tests copy and break, and a test double of a workspace."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pyspark.sql import SparkSession
from pytest_httpserver import HTTPServer

from dev.tests.preflight.broken import STREAMS
from dev.tests.preflight.double import Double, doubled, serving, sign_in
from sensor_streams.fleet import Fleet
from tests.plant import ARRIVAL, Plant, reading


@pytest.fixture(scope="session")
def original(spark: SparkSession, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """A plant whose first two streams have run two batches each, with a rejected line in each batch."""
    plant = Plant(spark, fleet, tmp_path_factory.mktemp("preflight"))
    for number, minutes in enumerate((range(12), range(12, 24))):
        lines = [reading("pump-1", "power", f"00:{minute:02}:00", 5 + minute) for minute in minutes]
        plant.land(f"{number}.json", [*lines, "{"], ARRIVAL + timedelta(hours=number))
    plant.run(*STREAMS, max_files=1)
    return plant


@pytest.fixture(scope="session")
def server() -> Iterator[HTTPServer]:
    """A server on loopback that replaces a workspace."""
    with serving() as server:
        yield server


@pytest.fixture
def double(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    """An empty workspace to which this process is signed in."""
    with doubled(server) as double:
        sign_in(monkeypatch, double.host)
        yield double
