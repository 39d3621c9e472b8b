"""State of tasks, attempts and clusters of a run, and their results."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum

from databricks.sdk.service.jobs import (
    RunLifeCycleState,
    RunLifecycleStateV2State,
    RunResultState,
    TerminationCodeCode,
)

from dabs_lab.jobs.assumptions import Assumptions, assumption_rows
from dabs_lab.jobs.events import Action, Event, EventKind, Json, Step
from dabs_lab.jobs.job_spec import ClusterSpec, JobSpec, TaskSpec

State = RunLifecycleStateV2State
Result = RunResultState
Code = TerminationCodeCode
Outcome = tuple[Result, Code]


class Cause(Enum):
    """Reason why an attempt or a run is ended before it ends by itself."""

    USER = "canceled by the user"
    PLATFORM = "canceled with its run"
    TIMEOUT = "timed out"
    DRIVER = "the driver was lost"
    CLUSTER = "the cluster did not start"
    REFERENCE = "a parameter cannot be filled in"


OUTCOMES: Mapping[Cause, Outcome] = {
    Cause.USER: (Result.CANCELED, Code.USER_CANCELED),
    Cause.PLATFORM: (Result.CANCELED, Code.CANCELED),
    # The SDK documents CANCELED for an exceeded duration.
    Cause.TIMEOUT: (Result.TIMEDOUT, Code.CANCELED),
    Cause.DRIVER: (Result.FAILED, Code.DRIVER_ERROR),
    Cause.CLUSTER: (Result.FAILED, Code.CLUSTER_ERROR),
    Cause.REFERENCE: (Result.FAILED, Code.INVALID_RUN_CONFIGURATION),
}
# Results of runs and tasks that did not run.
_DID_NOT_RUN = (
    *(Result.EXCLUDED, Result.UPSTREAM_FAILED, Result.UPSTREAM_CANCELED),
    Result.MAXIMUM_CONCURRENT_RUNS_REACHED,
)


def life_cycle(state: State, result: Result | None) -> RunLifeCycleState:
    """Return the older state, which the API returns in addition to the newer one."""
    if state is State.TERMINATED and result in _DID_NOT_RUN:
        return RunLifeCycleState.SKIPPED
    if state is State.WAITING:
        return RunLifeCycleState.WAITING_FOR_RETRY
    return RunLifeCycleState(state.value)


class ClusterState(StrEnum):
    """State of a driver."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    LOST = "LOST"
    STOPPED = "STOPPED"


@dataclass(eq=False)
class Cluster:
    """A driver."""

    id: str
    spec: ClusterSpec
    state: ClusterState = ClusterState.STARTING

    @property
    def alive(self) -> bool:
        """True if it runs or starts."""
        return self.state in (ClusterState.STARTING, ClusterState.RUNNING)


@dataclass(eq=False)
class Attempt:
    """One attempt of a task. PENDING: its cluster starts. TERMINATING: its process is being ended."""

    id: int
    number: int
    cluster: Cluster
    start: datetime
    state: State = State.PENDING
    running_since: datetime | None = None
    end: datetime | None = None
    result: Result | None = None
    code: Code | None = None
    cause: Cause | None = None
    exit_code: int | None = None
    message: str = ""
    warned: bool = False


@dataclass(eq=False)
class TaskRun:
    """A task of a run."""

    spec: TaskSpec
    state: State = State.BLOCKED
    attempts: list[Attempt] = field(default_factory=list)
    result: Result | None = None
    code: Code | None = None
    # Start of the next attempt; None unless it waits for a retry.
    retry_at: datetime | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    end: datetime | None = None

    @property
    def active(self) -> Attempt | None:
        """Return the attempt that has not ended, or None."""
        return self.attempts[-1] if self.attempts and self.attempts[-1].end is None else None


class Output:
    """Collects actions and events until `take`; emits each assumption once."""

    def __init__(self, assumptions: Assumptions) -> None:
        self._sentences = {name: (value, sentence) for name, value, sentence in assumption_rows(assumptions)}
        self._used: set[str] = set()
        self._actions: list[Action] = []
        self._events: list[Event] = []

    def act(self, action: Action) -> None:
        """Add an action."""
        self._actions.append(action)

    def emit(
        self,
        at: datetime,
        kind: EventKind,
        data: Mapping[str, Json],
        run: int | None = None,
        task: str | None = None,
        attempt: int | None = None,
    ) -> None:
        """Add an event; data that is None is left out."""
        known = {name: value for name, value in data.items() if value is not None}
        self._events.append(Event(at, kind, run, task, attempt, known))

    def assume(self, at: datetime, name: str) -> None:
        """Emit an assumption that decided something, once. Raises KeyError for an unknown name."""
        value, sentence = self._sentences[name]
        if name not in self._used:
            self._used.add(name)
            self.emit(at, EventKind.ASSUMPTION, {"name": name, "value": value or None, "sentence": sentence})

    def take(self) -> Step:
        """Return and clear the collected actions and events."""
        step = Step(tuple(self._actions), tuple(self._events))
        self._actions, self._events = [], []
        return step


@dataclass(frozen=True)
class Shared:
    """Objects that all runs of a job share."""

    spec: JobSpec
    assumptions: Assumptions
    out: Output
    ids: Iterator[int]
    job_id: int
    workspace_id: str
    workspace_url: str
