"""Streams of a task that only its source file shows."""

import json
import warnings
from pathlib import Path

import pytest

from dabs_lab.check.bundle_views import load_views
from dabs_lab.check.engine import check_folder
from dabs_lab.check.streaming import Streaming
from dabs_lab.check.task_sources import LARGEST, read_source
from dev.tests.check.test_streaming import streaming

_NOTEBOOK = "# Databricks notebook source\n"
_TASK = "notebook_task: {notebook_path: ./code.py}"
_QUERY = 'spark.readStream.table("a").writeStream{0}.option("checkpointLocation", "/Volumes/m/s/cp/a").toTable("m.s.b")'
_WAIT = "\nspark.streams.awaitAnyTermination()\n"


def of_code(folder: Path, code: str, job: str = "", comment: str = "") -> Streaming:
    """Return what a task streams whose notebook has this code."""
    (folder / "code.py").write_text(_NOTEBOOK + code, "utf-8")
    return streaming(folder, _TASK + comment, job)


def test_a_notebook_that_starts_a_stream_is_one_and_the_line_is_the_reason(tmp_path: Path) -> None:
    found = of_code(tmp_path, "a = 1\n" + _QUERY.format(".trigger(availableNow=True)"))
    assert (found.is_stream, found.trigger, found.endless, found.number) == (True, "bounded", False, 1)
    assert (found.checkpoints, found.writes) == (("/Volumes/m/s/cp/a",), ("m.s.b",))
    assert found.seen() == found.seen("/Volumes/m/s/cp/a") == " (code.py:3)"


@pytest.mark.parametrize(
    ("trigger", "rest", "expected"),
    [
        ('.trigger(processingTime="1 minute")', _WAIT, "endless"),
        ("", _WAIT, "endless"),
        # A notebook may end, or stop its streams, in a last cell.
        ('.trigger(processingTime="1 minute")', "", None),
        ('.trigger(processingTime="1 minute")', _WAIT.replace("()", "(60)"), None),
        (".trigger(availableNow=at_once)", _WAIT, None),
        (".trigger(**options)", _WAIT, None),
        (".trigger(once=True)", _WAIT, "bounded"),
    ],
)
def test_only_a_literal_trigger_decides_whether_a_stream_ends(
    tmp_path: Path, trigger: str, rest: str, expected: str | None
) -> None:
    assert of_code(tmp_path, _QUERY.format(trigger) + rest).trigger == expected


def test_a_literal_interval_is_endless_in_a_continuous_job_without_waiting(tmp_path: Path) -> None:
    code = _QUERY.format('.trigger(processingTime="1 minute")')
    assert of_code(tmp_path, code, "continuous: {}").trigger == "endless"


def test_a_trigger_that_the_code_chooses_is_unknown(tmp_path: Path) -> None:
    code = """
writer = rows.writeStream
if drain:
    writer = writer.trigger(availableNow=True)
else:
    writer = writer.trigger(processingTime="1 minute")
writer.start().awaitTermination()
"""
    found = of_code(tmp_path, code)
    assert (found.is_stream, found.trigger) == (True, None)


def test_a_trigger_behind_a_variable_counts_if_no_other_is_there(tmp_path: Path) -> None:
    code = "writer = rows.writeStream\nwriter = writer.trigger(availableNow=True)\nwriter.start()\n"
    assert of_code(tmp_path, code).trigger == "bounded"


def test_a_checkpoint_of_literal_parts_is_known_and_one_of_a_parameter_is_not(tmp_path: Path) -> None:
    code = 'root = "/Volumes/m/s"\nquery = rows.writeStream.option("checkpointLocation", {0}).start()\n'
    assert of_code(tmp_path, code.format('f"{root}/cp/a"')).checkpoints == ("/Volumes/m/s/cp/a",)
    assert of_code(tmp_path, code.format('root + "/cp"')).checkpoints == ("/Volumes/m/s/cp",)
    assert of_code(tmp_path, code.format('f"{dbutils.widgets.get(name)}/a"')).checkpoints is None
    assert of_code(tmp_path, 'root = "/other"\n' + code.format("root")).checkpoints is None


def test_the_number_of_streams_in_a_loop_is_unknown(tmp_path: Path) -> None:
    code = "for name in names:\n    spark.readStream.table(name).writeStream.trigger(availableNow=True).start()\n"
    found = of_code(tmp_path, code)
    assert (found.is_stream, found.number) == (True, None)


@pytest.mark.parametrize(
    "code",
    [
        "import pandas as pd\nfrom pyspark.sql import functions as F\nspark.table('a').write.saveAsTable('b')",
        "# MAGIC %md\n# MAGIC # Title\n# MAGIC %pip install faker\nimport faker",
        "from helper import add\nadd()",
        "# MAGIC %run ./helper",
        "from package.part import add",
        "from package import part",
        "import package.part",
    ],
)
def test_code_that_starts_no_stream_is_known_to_have_none(tmp_path: Path, code: str) -> None:
    _write(tmp_path, add="import os\n\ndef add(): pass\n")
    assert of_code(tmp_path, code).is_stream is False


@pytest.mark.parametrize(
    "code",
    [
        "# MAGIC %run ./other",
        "# MAGIC %run ./helper",
        '# MAGIC %run "$folder/helper"',
        "# MAGIC %scala\n# MAGIC rows.start()",
        "from package.part import start",
        "from package import part",
        "from package import missing",
        "import package",
        "import company_streams\ncompany_streams.run()",
        "from helper import start\nstart()",
        'dbutils.notebook.run("./other", 60)',
        "display(spark.readStream.table('a'))",
        "# rows.writeStream is not used",
        "rows.writeStream.start(",
    ],
)
def test_code_that_may_start_a_stream_elsewhere_is_unknown(tmp_path: Path, code: str) -> None:
    _write(tmp_path, add="def start(): rows.writeStream.start()\n")
    assert of_code(tmp_path, code).is_stream is None


def _write(folder: Path, add: str) -> None:
    """Write the code as a module next to the notebook, and as a module of a package with a relative import."""
    (folder / "src/package").mkdir(parents=True)
    (folder / "helper.py").write_text(add, "utf-8")
    (folder / "src/package/__init__.py").write_text("from .inner import add\n", "utf-8")
    (folder / "src/package/inner.py").write_text(add, "utf-8")
    (folder / "src/package/part.py").write_text("import json\n", "utf-8")


def test_a_comment_in_the_job_file_wins_over_the_code(tmp_path: Path) -> None:
    code = _QUERY.format(".trigger(availableNow=True)")
    assert of_code(tmp_path, code, comment="\n# endless").trigger == "endless"
    assert of_code(tmp_path, code, comment="\n# streams: none").is_stream is False
    assert of_code(tmp_path, "import os", comment="\n# streams: a").streams == ("a",)


def test_a_jupyter_notebook_gives_the_row_of_its_file(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# rows.writeStream\n", "Title"]},
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": ["%sql\n", "select 'unbalanced"]},
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": ["a = 1\n", "rows.writeStream.start()"]},
    ]
    text = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)
    (tmp_path / "code.ipynb").write_text(text, "utf-8")
    found = streaming(tmp_path, "notebook_task: {notebook_path: ./code.ipynb}")
    (row,) = (number for number, line in enumerate(text.splitlines(), 1) if '"rows.writeStream.start()"' in line)
    assert found.seen() == f" (code.ipynb:{row})"


def test_the_entry_point_of_a_wheel_is_read(tmp_path: Path) -> None:
    (tmp_path / "src/flows").mkdir(parents=True)
    (tmp_path / "src/flows/live.py").write_text(_QUERY.format(".trigger(availableNow=True)"), "utf-8")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "flows"\nscripts = {live = "flows.live:main"}\n', "utf-8"
    )
    text = """
bundle: {name: b}
artifacts: {flows: {type: whl, build: make, path: .}}
resources:
  jobs:
    live:
      tasks:
        - task_key: a
          existing_cluster_id: c
          python_wheel_task: {package_name: flows, entry_point: live}
"""
    (tmp_path / "databricks.yml").write_text(text, "utf-8")
    (view,) = load_views(tmp_path, None, False, {}).targets
    (task,) = view.tasks
    assert (task.streaming.trigger, task.name()) == ("bounded", "a (src/flows/live.py:1)")


_DAMAGED = ["[" * 100_000, '{"cells": [1]}', '{"cells": [{"source": 1}]}', "", "\x00"]


@pytest.mark.parametrize("text", _DAMAGED, ids=range(5))
def test_a_damaged_notebook_is_unknown(tmp_path: Path, text: str) -> None:
    (tmp_path / "code.ipynb").write_text(text, "utf-8")
    assert read_source(tmp_path / "code.ipynb", tmp_path) is None


_STRANGE = {"open": "(" * 100_000, "long": "x = " + "+".join("a" * 50_000), "null": "\x00", "escape": "'\\d'"}


@pytest.mark.parametrize("code", _STRANGE.values(), ids=_STRANGE)
def test_strange_code_gives_no_traceback_and_no_warning(tmp_path: Path, code: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert of_code(tmp_path, f"rows.writeStream\n{code}").trigger is None


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    assert of_code(tmp_path, "#" * LARGEST + "\nrows.writeStream.start()").is_stream is None


def test_a_finding_names_the_line_of_the_code(tmp_path: Path) -> None:
    of_code(tmp_path, _QUERY.format(".trigger(processingTime='1 minute')"), "continuous: {}")
    (found,) = check_folder(tmp_path, select=["D105"]).findings
    assert found.message == "task a (code.py:2) runs an endless stream on serverless compute"
