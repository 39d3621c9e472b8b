"""One run on a checkpoint at a time."""

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from sensor_streams.errors import CheckpointInUse, LeaseLost
from sensor_streams.runtime.files import read_json, write_json
from sensor_streams.runtime.lease import Lease, this_process

SOON = timedelta(seconds=0.6)


def lease(folder: Path, run: str, attempt: int = 1) -> Lease:
    """A lease on one stream's checkpoint."""
    return Lease([folder], this_process(run, attempt), SOON)


def test_a_second_run_on_a_checkpoint_in_use_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    first = lease(tmp_path, "run-1", 2)
    first.acquire()
    try:
        with pytest.raises(CheckpointInUse, match=r"in use by run run-1, attempt 2, since 20\d\d-") as refused:
            lease(tmp_path, "run-2").acquire()
        assert str(tmp_path) in str(refused.value)
        first.check()
    finally:
        first.release()
    again = lease(tmp_path, "run-2")
    again.acquire()
    again.release()
    assert not (tmp_path / "holder.json").exists()


def test_the_next_attempt_of_the_same_run_takes_over_at_once_and_the_old_one_stops(tmp_path: Path) -> None:
    first, second = lease(tmp_path, "run-1", 1), lease(tmp_path, "run-1", 2)
    first.acquire()
    second.acquire()
    with pytest.raises(LeaseLost, match="taken over by run run-1, attempt 2"):
        first.check()
    first.release()
    second.check()
    second.release()


def test_a_holder_whose_process_is_dead_locks_nobody_out(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    held = lease(tmp_path, "run-1")
    held.acquire()
    held._stop.set()
    content = read_json(tmp_path / "holder.json")
    assert content is not None
    write_json(tmp_path / "holder.json", content | {"pid": int(dead.stdout)})
    after = lease(tmp_path, "run-2")
    after.acquire()
    after.release()


def test_a_holder_on_another_machine_that_fell_silent_is_gone_and_one_that_beats_is_not(tmp_path: Path) -> None:
    elsewhere = {"run": "far", "attempt": 1, "since": "then", "host": "another", "pid": 1, "token": "t", "beat": 0}
    write_json(tmp_path / "holder.json", elsewhere)
    after = lease(tmp_path, "run-2")
    after.acquire()
    after.release()
    write_json(tmp_path / "holder.json", elsewhere)
    done = threading.Event()

    def beat() -> None:
        number = 0
        while not done.wait(0.1):
            number += 1
            write_json(tmp_path / "holder.json", elsewhere | {"beat": number})

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        with pytest.raises(CheckpointInUse, match="run far"):
            lease(tmp_path, "run-3").acquire()
    finally:
        done.set()
        beating.join()
