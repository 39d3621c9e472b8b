"""A lost data file of a table is reported in one line, and its rows are computed again."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from sensor_streams.errors import StreamFailedError
from sensor_streams.rebuild import rebuild
from sensor_streams_dev.spark_errors import explain_spark_error
from tests.plant import Plant, reading

pytestmark = pytest.mark.slow


def test_the_steps_of_the_docs_restore_the_rows_of_a_lost_data_file(plant: Plant) -> None:
    streams = ("readings", "sensor_features", "device_sessions")
    lines = [
        reading("pump-1", "power", f"2026-01-0{day}T{hour:02d}:{minute:02d}:00Z", hour + minute)
        for day in (1, 2)
        for hour in (3, 4)
        for minute in range(0, 60, 5)
    ]
    plant.land("a.json", lines)
    plant.run(*streams)
    assert plant.differing(*streams) == []
    assert plant.catalog.root is not None
    (lost,) = Path(plant.catalog.root, "sensor_features", "window_date=2026-01-01").glob("*.parquet")
    lost.unlink()

    with pytest.raises((Py4JError, PySparkException)) as raised:
        plant.verify("sensor_features")
    error = explain_spark_error(raised.value)
    assert str(error).startswith(f"file:{lost} is missing, but its table still lists it: restore it from a copy")

    name = plant.catalog.full_name("sensor_features")
    plant.spark.sql(f"DELETE FROM {name} WHERE window_date = DATE'2026-01-01'")
    day = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    assert rebuild(plant.catalog, plant.fleet, "sensor_features", *day, None).inserted == 24
    # The change feed reads the lost file again, to find the deleted rows.
    with pytest.raises(
        StreamFailedError, match=f"stream device_sessions, batch 1: FileNotFoundException: .*{lost.name}"
    ):
        plant.run("device_sessions")
    shutil.rmtree(plant.folder / "checkpoints" / "device_sessions")
    plant.run(*streams)
    assert plant.differing(*streams) == []
