"""A job of a bundle as a process of the local runner, and its events as they come."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from dabs_lab.errors import MachineError

# Seconds that a runner gets to end its processes in order.
_STOP_SECONDS = 90.0


@dataclass(frozen=True)
class Seen:
    """An event of the runner's `--json`. at: monotonic clock of this process."""

    at: float
    data: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Kind of the event, such as `attempt`."""
        return str(self.data["event"])


class JobProcess:
    """Process of `… run JOB --json`. Use it as a context: at its end, no process of the job is left."""

    def __init__(self, job: str, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.job = job
        self.events: list[Seen] = []
        # When somebody stopped it; later events are not failures of the job.
        self.stopped_at: float | None = None
        self._errors = (folder / f"{job}.err").open("ab")
        # A session of its own: signals to the lab's process group must not reach the job.
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"events of {job}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            # Other output may come between, such as a warning of a library.
            with suppress(ValueError, TypeError):
                read = json.loads(line)
                if "event" in read:
                    self.events.append(Seen(time.monotonic(), read))

    @property
    def alive(self) -> bool:
        """True while the runner runs."""
        return self.process.poll() is None

    def find(self, kind: str, **values: object) -> list[Seen]:
        """Return the events of a kind with these values, in order."""
        return [
            one
            for one in list(self.events)
            if one.kind == kind and all(one.data.get(name) == value for name, value in values.items())
        ]

    def pids(self, kind: str, **values: object) -> list[int]:
        """Return the processes of `driver` or `process` events that still run, the newest last."""
        found = [int(one.data["pid"]) for one in self.find(kind, **values)]
        return [pid for pid in dict.fromkeys(found) if is_running(pid)]

    def tree(self) -> list[psutil.Process]:
        """Return the runner and all processes below it."""
        with suppress(psutil.Error):
            own = psutil.Process(self.process.pid)
            return [own, *own.children(recursive=True)]
        return []

    def stop(self) -> None:
        """Stop the job in order, then by force; return when no process of it is left. Raises MachineError if one is."""
        family = self.tree()
        if self.stopped_at is None:
            self.stopped_at = time.monotonic()
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_SECONDS)
        for one in family:
            with suppress(psutil.Error):
                one.kill()
        self.process.wait(10)
        self._reader.join(10)
        self._errors.close()
        _, left = psutil.wait_procs(family, timeout=10)
        if left:
            raise MachineError(f"job {self.job}: processes {[one.pid for one in left]} do not end: end them by hand")

    def __enter__(self) -> "JobProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def is_running(pid: int) -> bool:
    """Return True if a process exists and is not a zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
