"""Versions that a run uses: in the log at its start, and in every row of its figures."""

import json
import logging
import platform
import tomllib
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path

import pyspark
import pytest
from packaging.requirements import Requirement

from dabs_lab.local_spark import JAVA_VERSIONS
from sensor_streams.runtime.progress import COLUMNS, BatchFigures
from sensor_streams.runtime.run_environment import RunEnvironment, dependencies
from sensor_streams.table_spec import TableSpec
from tests.plant import Plant, reading

CONF = "spark.databricks.clusterUsageTags."
HERE = RunEnvironment("21.0.1", "local", "4.1.4", "4.4.0", "1.0", "3.12.3", {"numpy": "2.1.3", "pandas": "2.2.3"})


def test_the_versions_of_all_dependencies_of_the_wheel_are_recorded() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {Requirement(text).name for text in project["dependencies"]}
    assert dependencies() == {name: version(name) for name in declared}


def test_the_versions_are_one_line_of_json_and_one_line_of_the_log() -> None:
    found = json.loads(HERE.line())["versions"]
    assert (found["runtime"], found["python"], found["packages"]) == ("local", "3.12.3", HERE.packages)
    assert str(HERE) == (
        "Java 21.0.1, runtime local, Spark 4.1.4, Delta 4.4.0, sensor-streams 1.0, Python 3.12.3, "
        "numpy 2.1.3, pandas 2.2.3"
    )


def test_a_row_of_the_progress_table_has_its_figures_and_versions_in_the_order_of_the_columns() -> None:
    figures = [field.name for field in fields(BatchFigures) if field.name != "rejections"]
    assert [name for name, _ in COLUMNS] == [*figures, *HERE.row()]
    assert json.loads(str(HERE.row()["packages"])) == HERE.packages


def test_the_versions_of_a_run_are_logged_and_stored_also_in_tables_of_older_versions(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = RunEnvironment.of(plant.spark)
    assert int(here.java.split(".")[0]) in JAVA_VERSIONS
    assert here.runtime == "local"
    assert (here.spark, here.delta) == (pyspark.__version__, "4.4.0")
    assert (here.wheel, here.python) == (version("sensor-streams"), platform.python_version())
    # A cluster sets a variable, its version key, and the image behind that key.
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "18.1")
    cluster = {"sparkVersion": "18.x-scala2.13", "sparkImageLabel": "release__18.1.x-scala2.13"}
    for name, value in cluster.items():
        plant.spark.conf.set(CONF + name, value)
    try:
        # Tables of older versions, with fewer columns: this task's own, and another one that the view unites with it.
        for name, columns in {"progress_readings": COLUMNS[:-2], "progress_inference": COLUMNS[:12]}.items():
            plant.catalog.create(TableSpec(name, columns, ("stream", "run", "attempt", "batch_id")))
        plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5)])
        with caplog.at_level(logging.INFO, "sensor_streams"):
            plant.run("readings", run="a", source="files")
    finally:
        for name in cluster:
            plant.spark.conf.unset(CONF + name)
    runtime = "18.1, 18.x-scala2.13, release__18.1.x-scala2.13"
    on_cluster = replace(here, runtime=runtime)
    assert f"run a, attempt 1: {on_cluster}" in caplog.text
    assert [record.message for record in caplog.records if record.message.startswith('{"versions"')] == [
        on_cluster.line()
    ]
    versions = on_cluster.row()
    rows = plant.read("stream_progress").select("stream", *versions).collect()
    assert {row["stream"] for row in rows} == {"readings"}
    assert {tuple(row)[1:] for row in rows} == {tuple(versions.values())}
