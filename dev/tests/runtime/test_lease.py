"""Leases: one run on a checkpoint at a time."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from sensor_streams.checkpoint import lease as lease_module
from sensor_streams.checkpoint.lease import Lease, beat_file, this_process
from sensor_streams.errors import CheckpointInUseError, LeaseLostError
from sensor_streams.json_files import read_json, write_json

SOON = timedelta(seconds=0.6)


def lease(folder: Path, run: str, attempt: int = 1) -> Lease:
    """Return a lease on one stream's checkpoint."""
    return Lease([folder], this_process(run, attempt), SOON)


def test_a_second_run_on_a_checkpoint_is_refused_and_the_error_names_the_holder(tmp_path: Path) -> None:
    first = lease(tmp_path, "run-1", 2)
    first.acquire()
    try:
        with pytest.raises(CheckpointInUseError, match=r"in use by run run-1, attempt 2, since 20\d\d-") as refused:
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
    with pytest.raises(LeaseLostError, match="taken over by run run-1, attempt 2"):
        first.check()
    first.release()
    second.check()
    second.release()


def test_a_holder_whose_process_is_dead_does_not_block(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    held = lease(tmp_path, "run-1")
    held.acquire()
    held._stop.set()
    content = read_json(tmp_path / "holder.json")
    assert content is not None
    write_json(tmp_path / "holder.json", content | {"pid": int(dead.stdout)})
    # Without waiting for the timeout.
    after = Lease([tmp_path], this_process("run-2", 1), timedelta(seconds=30))
    begun = time.monotonic()
    after.acquire()
    assert time.monotonic() - begun < 10
    after.release()


ELSEWHERE = {"run": "far", "attempt": 1, "since": "then", "host": "another", "machine": "another/1", "pid": 1}


@contextmanager
def beating(folders: list[Path], token: str) -> Iterator[None]:
    """Write heartbeats of a holder on another machine."""
    done = threading.Event()

    def beat() -> None:
        number = 0
        while not done.wait(0.1):
            number += 1
            for folder in folders:
                write_json(beat_file(folder, token), {"beat": number})

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_holder_on_another_machine_blocks_only_while_it_sends_heartbeats(tmp_path: Path) -> None:
    write_json(tmp_path / "holder.json", ELSEWHERE | {"token": "t"})
    after = lease(tmp_path, "run-2")
    after.acquire()
    after.release()
    write_json(tmp_path / "holder.json", ELSEWHERE | {"token": "t"})
    with beating([tmp_path], "t"), pytest.raises(CheckpointInUseError, match="run far"):
        lease(tmp_path, "run-3").acquire()


def test_eight_checkpoints_of_a_silent_holder_are_waited_for_together(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(8)]
    for folder in folders:
        write_json(folder / "holder.json", ELSEWHERE | {"token": "t"})
    begun = time.monotonic()
    after = Lease(folders, this_process("run-2", 1), SOON)
    after.acquire()
    assert SOON.total_seconds() <= time.monotonic() - begun < 4 * SOON.total_seconds()
    after.check()
    after.release()
    assert not [file for folder in folders for file in folder.iterdir()]


def test_only_a_later_attempt_takes_over_from_a_living_attempt(tmp_path: Path) -> None:
    second = lease(tmp_path, "run-1", 2)
    second.acquire()
    try:
        for attempt in (1, 2):
            with pytest.raises(CheckpointInUseError, match="run run-1, attempt 2"):
                lease(tmp_path, "run-1", attempt).acquire()
        second.check()
    finally:
        second.release()


def test_a_short_storage_failure_ends_neither_the_lease_nor_its_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = lease(tmp_path, "run-1")
    held.acquire()
    failed = threading.Event()

    def away(file: Path) -> None:
        failed.set()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(lease_module, "read_json", away)
    assert failed.wait(5)
    held.check()
    monkeypatch.undo()
    try:
        with pytest.raises(CheckpointInUseError, match="run run-1, attempt 1"):
            lease(tmp_path, "run-2").acquire()
    finally:
        held.release()
