"""A task whose driver does not answer ends with an error."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_TASK = """
import logging, os
from pyspark.sql import SparkSession
from sensor_streams.runtime.driver_watch import DriverWatch

logging.basicConfig()
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
with DriverWatch(3) as watch:
    print(spark._jvm.ProcessHandle.current().pid(), flush=True)
    while True:
        with watch.call():
            spark.streams._jsqm.active()
"""


@pytest.mark.slow
def test_a_task_ends_with_an_error_when_its_driver_does_not_answer(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    with errors.open("wb") as output:
        task = subprocess.Popen([sys.executable, "-c", _TASK], stdout=subprocess.PIPE, stderr=output)
    assert task.stdout is not None
    driver = int(task.stdout.readline())
    try:
        os.kill(driver, signal.SIGSTOP)
        assert task.wait(60) == 1
    finally:
        os.kill(driver, signal.SIGKILL)
        task.kill()
        task.wait()
    assert "the driver has not answered for 3 s: the task ends" in errors.read_text("utf-8")
