"""Figures of batches."""

import logging

import pytest
from pyspark.sql import DataFrame

from sensor_streams.runtime.progress import ProgressTable
from tests.plant import Plant, reading


def test_a_failure_to_write_figures_does_not_stop_a_stream(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: ProgressTable, *_: object) -> DataFrame:
        raise OSError("no space left")

    monkeypatch.setattr("sensor_streams.runtime.progress.append", broken)
    plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5)])
    with caplog.at_level(logging.WARNING):
        assert plant.run("readings").states == {"readings": "DONE"}
    assert "figures were not written (OSError: no space left)" in caplog.text
    assert plant.count("readings") == 1
