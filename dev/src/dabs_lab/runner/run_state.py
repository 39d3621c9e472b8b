"""What happened to a job that runs here: what the runner notes, and what those who show it look at."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from databricks.sdk.service.jobs import RunResultState

from dabs_lab.errors import INTERRUPTED, MachineError
from dabs_lab.jobs.events import Event, EventKind, Json
from dabs_lab.jobs.snapshots import JobView
from dabs_lab.runner.attempts import AttemptLog, AttemptProcess
from dabs_lab.runner.driver import Driver

FAILED = frozenset({RunResultState.FAILED, RunResultState.TIMEDOUT})
KEPT = (EventKind.ASSUMPTION, EventKind.NOTIFICATION)


@dataclass
class Attempt:
    """An attempt of a task: its process and its log."""

    run: int
    task: str
    number: int
    log: AttemptLog
    process: AttemptProcess
    started: float = field(default_factory=time.monotonic)
    over: bool = False

    @property
    def streams(self) -> list[str]:
        """Return the streams that the task announced, and those that it reported batches of."""
        return list(dict.fromkeys([*self.log.streams, *self.log.batches]))


@dataclass
class RunState:
    """What one looks at while the job runs, and what it came to."""

    view: JobView
    drivers: dict[str, Driver] = field(default_factory=dict)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    # Assumptions and notifications, for the end; a job without an end has more of them than memory.
    kept: deque[Event] = field(default_factory=lambda: deque(maxlen=500))
    results: dict[int, RunResultState] = field(default_factory=dict)
    # Whether any run failed, by its words or because its tasks were not tried again.
    failed: bool = False
    # The states when the end was asked for, before anything was stopped.
    at_stop: JobView | None = None
    # The moment of that, or of the end, by the monotonic clock.
    ended_at: float = 0.0
    # The number of the signal that ended it, 0 for none.
    interrupted: int = 0
    # Why this machine could not start a driver.
    machine: str = ""

    @property
    def exit_code(self) -> int:
        """0 success, 1 the job failed, 3 the machine, 130 interrupted."""
        if self.interrupted:
            return INTERRUPTED
        stopped = self.at_stop.runs if self.at_stop else ()
        waiting = any(task.retry_at is not None for run in stopped for task in run.tasks)
        if not (waiting or self.failed or FAILED & set(self.results.values())):
            return 0
        return MachineError.exit_code if self.machine else 1


class Shown(Protocol):
    """Whoever shows what happens."""

    def events(self, happened: RunState, events: tuple[Event, ...]) -> None:
        """These are new."""

    def process(self, happened: RunState, told: Mapping[str, Json]) -> None:
        """A process was started: `driver` of a cluster or `process` of an attempt, with pid and log."""

    def look(self, happened: RunState) -> None:
        """A second went by."""
