"""The watch sees from outside what is true of streams: real processes, threads and folders take the place of Spark."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dabs_lab.lab.declarations import StreamPlace
from dabs_lab.lab.faults import block, kill, unblock
from dabs_lab.lab.job_process import JobProcess
from dabs_lab.lab.results import State
from dabs_lab.lab.watching import StreamWatch

# A thread for each file of a folder, with the name that threads of queries have in a driver.
_DRIVER = """
import pathlib, sys, threading, time
folder, threads = pathlib.Path(sys.argv[1]), {}
def query(file):
    pathlib.Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text("stream executio")
    while file.exists():
        time.sleep(0.02)
while True:
    for file in folder.iterdir():
        if file.name not in threads or not threads[file.name].is_alive():
            threads[file.name] = threading.Thread(target=query, args=[file])
            threads[file.name].start()
    time.sleep(0.02)
"""
_JCMD = """#!/bin/sh
for name in $(ls "{folder}"); do
  echo "\\"stream execution thread for $name [id = 1, runId = 2]\\""
done
"""


class Plant:
    """A driver, the process of a task, and the checkpoints of the streams a and b."""

    def __init__(self, folder: Path, stack: ExitStack, *, bounded: bool) -> None:
        self.folder, self.queries, self._stack = folder, folder / "queries", stack
        self.queries.mkdir()
        self.driver = self._process(_DRIVER, str(self.queries))
        self.task = self._process("import time\nwhile True: time.sleep(1)")
        (folder / "task.log").write_text('{"streams": ["a", "b"]}\n', "utf-8")
        for stream in ("a", "b"):
            self.write(stream, 7)
        events = [
            {"event": "driver", "cluster": "main", "pid": self.driver.pid},
            {"event": "process", "cluster": "main", "pid": self.task.pid, "log": str(folder / "task.log")},
        ]
        (folder / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events), "utf-8")
        words = ["json.tool", "--json-lines", "--compact", "events.jsonl"]
        job = stack.enter_context(JobProcess("job", words, folder, {}))
        self.watch = StreamWatch(lambda: [job], [StreamPlace(one, folder / one) for one in ("a", "b")], bounded)
        self.watch.start()
        stack.callback(self.watch.close)

    def _process(self, script: str, *words: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen([sys.executable, "-c", script, *words])
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def write(self, stream: str, batch: int, *folders: str) -> None:
        """Write the files of a batch: `offsets` when it begins, `commits` when it is done."""
        for folder in folders or ("offsets", "commits"):
            (self.folder / stream / folder).mkdir(parents=True, exist_ok=True)
            (self.folder / stream / folder / str(batch)).write_text("v1\n{}", "utf-8")

    def begin(self, *streams: str) -> None:
        """Start queries, and wait until the watch sees them."""
        for stream in streams:
            (self.queries / stream).touch()
        for stream in streams:
            self.until(lambda stream=stream: self.watch.state(stream) == State.WORKING)  # type: ignore[misc]

    def end(self, stream: str) -> None:
        """End a query."""
        (self.queries / stream).unlink()

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition, with a deadline."""
        deadline, pause = time.monotonic() + 20, threading.Event()
        while not condition():
            states = {one: self.watch.state(one) for one in ("a", "b")}
            assert time.monotonic() < deadline, f"{states}, {self.watch.changes}"
            pause.wait(0.05)

    def states(self, stream: str) -> list[State]:
        """Return all states of a stream so far."""
        return [change.state for change in self.watch.changes if change.stream == stream]


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "jcmd").write_text(_JCMD.format(folder=tmp_path / "queries"), "utf-8")
    (tools / "jcmd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    with ExitStack() as found:
        yield found


def test_a_query_that_ends_is_dead_while_its_process_and_the_other_query_live(tmp_path: Path, stack: ExitStack) -> None:
    plant = Plant(tmp_path, stack, bounded=False)
    plant.begin("a", "b")
    plant.end("a")
    plant.until(lambda: plant.watch.state("a") == State.DEAD)
    assert plant.watch.state("b") == State.WORKING
    assert plant.watch.owners == {"a": "job", "b": "job"}


def test_a_query_that_ends_in_the_moment_in_which_another_starts_is_dead(tmp_path: Path, stack: ExitStack) -> None:
    plant = Plant(tmp_path, stack, bounded=False)
    plant.begin("a")
    # The number of queries is the same as before.
    (plant.queries / "a").rename(plant.queries / "b")
    plant.until(lambda: plant.watch.state("a") == State.DEAD and plant.watch.state("b") == State.WORKING)


def test_a_killed_process_leaves_its_bounded_streams_dead_within_a_batch_and_at_rest_otherwise(
    tmp_path: Path, stack: ExitStack
) -> None:
    plant = Plant(tmp_path, stack, bounded=True)
    plant.begin("a", "b")
    plant.write("a", 8, "offsets")
    plant.until(lambda: plant.watch.open_batch("a") == 8)
    kill(plant.task.pid)
    plant.task.wait()
    plant.until(lambda: plant.watch.state("a") == State.DEAD and plant.watch.state("b") == State.ENDED)
    assert plant.watch.repeated == 1


def test_a_fault_in_a_checkpoint_changes_no_stream_that_is_at_rest(tmp_path: Path, stack: ExitStack) -> None:
    plant = Plant(tmp_path, stack, bounded=True)
    plant.begin("a", "b")
    plant.end("a")
    plant.until(lambda: plant.watch.state("a") == State.ENDED)
    block(tmp_path / "a" / "offsets")
    # Another change is seen after the fault.
    plant.end("b")
    plant.until(lambda: plant.watch.state("b") == State.ENDED)
    assert plant.states("a")[-2:] == [State.WORKING, State.ENDED]


def test_a_stream_that_died_of_a_fault_stays_dead_when_the_fault_is_gone(tmp_path: Path, stack: ExitStack) -> None:
    plant = Plant(tmp_path, stack, bounded=True)
    plant.begin("a", "b")
    block(tmp_path / "a" / "offsets")
    plant.end("a")
    plant.until(lambda: plant.watch.state("a") == State.DEAD)
    unblock(tmp_path / "a" / "offsets")
    plant.end("b")
    plant.until(lambda: plant.watch.state("b") == State.ENDED)
    assert plant.states("a")[-1] == State.DEAD


def test_commits_are_those_since_the_start_also_after_a_lost_checkpoint(tmp_path: Path, stack: ExitStack) -> None:
    plant = Plant(tmp_path, stack, bounded=False)
    plant.begin("a")
    assert plant.watch.commits["a"] == []
    plant.write("a", 8)
    plant.until(lambda: [batch for _, batch in plant.watch.commits["a"]] == [8])
    shutil.rmtree(tmp_path / "a")
    plant.write("a", 0)
    plant.until(lambda: [batch for _, batch in plant.watch.commits["a"]] == [8, 0])
