"""State of a running job, and the interface of its displays."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from databricks.sdk.service.jobs import RunResultState

from dabs_lab.errors import INTERRUPTED, MachineError
from dabs_lab.jobs.events import Event, EventKind, Json
from dabs_lab.jobs.snapshots import JobSnapshot
from dabs_lab.runner.attempts import AttemptLog, AttemptProcess
from dabs_lab.runner.driver import Driver

FAILED = frozenset({RunResultState.FAILED, RunResultState.TIMEDOUT})
KEPT = (EventKind.ASSUMPTION, EventKind.NOTIFICATION)


@dataclass
class Attempt:
    """Process and log of an attempt."""

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
    """State of a job while it runs, and its result."""

    snapshot: JobSnapshot
    drivers: dict[str, Driver] = field(default_factory=dict)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    # Assumptions and notifications for the summary; the number is limited because a continuous job never ends.
    kept: deque[Event] = field(default_factory=lambda: deque(maxlen=500))
    results: dict[int, RunResultState] = field(default_factory=dict)
    # True if a run failed, or was replaced because a task has no retries left.
    failed: bool = False
    # Snapshot at the request to stop, before any process was stopped.
    at_stop: JobSnapshot | None = None
    # Monotonic time of that request, or of the end.
    ended_at: float = 0.0
    # Signal that stopped the job, or 0.
    interrupted: int = 0
    # Reason why this machine could not start a driver.
    machine: str = ""

    @property
    def exit_code(self) -> int:
        """Return the exit code: 0 success, 1 the job failed, 3 a problem of the machine, 130 interrupted."""
        if self.interrupted:
            return INTERRUPTED
        stopped = self.at_stop.runs if self.at_stop else ()
        waiting = any(task.retry_at is not None for run in stopped for task in run.tasks)
        if not (waiting or self.failed or FAILED & set(self.results.values())):
            return 0
        return MachineError.exit_code if self.machine else 1


class Display(Protocol):
    """Interface of a display of a running job."""

    def events(self, state: RunState, events: tuple[Event, ...]) -> None:
        """Show new events."""

    def process(self, state: RunState, data: Mapping[str, Json]) -> None:
        """Show a started process: `driver` of a cluster or `process` of an attempt, with pid and log."""

    def refresh(self, state: RunState) -> None:
        """Refresh the display; called about once a second."""
