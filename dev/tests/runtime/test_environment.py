"""Versions that a run uses: in the log at its start, and in every row of its figures."""

import logging
from dataclasses import replace
from importlib.metadata import version

import pyspark
import pytest

from dabs_lab.local_spark import JAVA_VERSIONS
from sensor_streams.runtime.progress import COLUMNS
from sensor_streams.runtime.run_environment import RunEnvironment
from sensor_streams.table_spec import TableSpec
from tests.plant import Plant, reading

CONF = "spark.databricks.clusterUsageTags."


def test_versions_of_java_runtime_spark_delta_and_wheel_are_logged_and_stored(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = RunEnvironment.of(plant.spark)
    assert int(here.java.split(".")[0]) in JAVA_VERSIONS
    assert here.runtime == ""
    assert (here.spark, here.delta) == (pyspark.__version__, "4.4.0")
    assert here.wheel == version("sensor-streams")
    # A cluster sets a variable, its version key, and the image behind that key.
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "18.1")
    cluster = {"sparkVersion": "18.x-scala2.13", "sparkImageLabel": "release__18.1.x-scala2.13"}
    for name, value in cluster.items():
        plant.spark.conf.set(CONF + name, value)
    try:
        # Another task's table, of a version with fewer columns: the view unites both.
        old = TableSpec("progress_inference", COLUMNS[:12], ("stream", "run", "attempt", "batch_id"))
        plant.catalog.create(old)
        plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5)])
        with caplog.at_level(logging.INFO, "sensor_streams.runtime"):
            plant.run("readings", run="a", source="files")
    finally:
        for name in cluster:
            plant.spark.conf.unset(CONF + name)
    runtime = "18.1, 18.x-scala2.13, release__18.1.x-scala2.13"
    assert f"run a, attempt 1: {replace(here, runtime=runtime)}" in caplog.text
    rows = plant.read("stream_progress").select("stream", "java", "runtime", "spark", "delta", "wheel").collect()
    assert {row["stream"] for row in rows} == {"readings"}
    assert {tuple(row)[1:] for row in rows} == {(here.java, runtime, here.spark, here.delta, here.wheel)}
