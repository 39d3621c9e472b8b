"""A task that can no longer report a failure itself ends with an error."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_FROZEN_DRIVER = """
import logging
from pyspark.sql import SparkSession
from sensor_streams.runtime.process_watch import ProcessWatch

logging.basicConfig()
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
with ProcessWatch(%s) as watch:
    print(spark._jvm.ProcessHandle.current().pid(), flush=True)
    while True:
        with watch.call():
            spark.streams._jsqm.active()
"""
_NO_MEMORY = """
import logging, resource, threading
import psutil
from sensor_streams.runtime.process_watch import ProcessWatch

logging.basicConfig()
with ProcessWatch(300):
    print("watched", flush=True)
    size = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    threading.Event().wait()
"""


@contextmanager
def task(text: str, errors: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a program; yield it with the first line that it prints."""
    with (
        errors.open("wb") as output,
        subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=output) as process,
    ):
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().decode()
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("watch", "says"),
    [
        ("3", "ERROR:sensor_streams.runtime:the driver has not answered for 3 s: the task ends"),
        (
            "300, lambda: 'a is stuck'",
            "a is stuck, and the driver has not answered for 2 s: the task ends",
        ),
    ],
    ids=["too long", "stuck"],
)
def test_a_task_ends_with_an_error_when_its_driver_does_not_answer(watch: str, says: str, tmp_path: Path) -> None:
    with task(_FROZEN_DRIVER % watch, tmp_path / "errors") as (process, line):
        driver = int(line)
        try:
            # A healthy driver answers, whatever the streams do.
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(4)
            os.kill(driver, signal.SIGSTOP)
            assert process.wait(60) == 1
        finally:
            os.kill(driver, signal.SIGKILL)
    assert says in (tmp_path / "errors").read_text("utf-8")


def test_a_task_ends_with_an_error_when_it_gets_no_more_memory(tmp_path: Path) -> None:
    with task(_NO_MEMORY, tmp_path / "errors") as (process, _):
        assert process.wait(30) == 1
    assert "gets no more memory, less than 64 MB: the task ends" in (tmp_path / "errors").read_text("utf-8")
