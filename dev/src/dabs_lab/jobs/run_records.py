"""What the state machine remembers: runs' tasks, attempts and clusters, and the words that an end has."""

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

from dabs_lab.jobs.assumptions import Assumptions, listed
from dabs_lab.jobs.events import Action, Event, EventKind, Json, Step
from dabs_lab.jobs.job_spec import ClusterSpec, JobSpec, TaskSpec

State = RunLifecycleStateV2State
Result = RunResultState
Code = TerminationCodeCode
Outcome = tuple[Result, Code]


class Cause(Enum):
    """Why an attempt or a run ends that does not end of itself."""

    USER = "canceled by the user"
    PLATFORM = "canceled with its run"
    TIMEOUT = "timed out"
    DRIVER = "the driver was lost"
    CLUSTER = "the cluster did not start"
    REFERENCE = "a parameter cannot be filled in"


OUTCOMES: Mapping[Cause, Outcome] = {
    Cause.USER: (Result.CANCELED, Code.USER_CANCELED),
    Cause.PLATFORM: (Result.CANCELED, Code.CANCELED),
    # The code's own text names the exceeded duration as its example.
    Cause.TIMEOUT: (Result.TIMEDOUT, Code.CANCELED),
    Cause.DRIVER: (Result.FAILED, Code.DRIVER_ERROR),
    Cause.CLUSTER: (Result.FAILED, Code.CLUSTER_ERROR),
    Cause.REFERENCE: (Result.FAILED, Code.INVALID_RUN_CONFIGURATION),
}
# Runs and tasks with these did not run at all.
_DID_NOT_RUN = (
    *(Result.EXCLUDED, Result.UPSTREAM_FAILED, Result.UPSTREAM_CANCELED),
    Result.MAXIMUM_CONCURRENT_RUNS_REACHED,
)


def life_cycle(state: State, result: Result | None) -> RunLifeCycleState:
    """The older word for a state, which the API gives beside the newer one."""
    if state is State.TERMINATED and result in _DID_NOT_RUN:
        return RunLifeCycleState.SKIPPED
    if state is State.WAITING:
        return RunLifeCycleState.WAITING_FOR_RETRY
    return RunLifeCycleState(state.value)


class ClusterState(StrEnum):
    """A driver's life."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    LOST = "LOST"
    STOPPED = "STOPPED"


@dataclass(eq=False)
class Cluster:
    """One driver."""

    id: str
    spec: ClusterSpec
    state: ClusterState = ClusterState.STARTING

    @property
    def lives(self) -> bool:
        """Whether tasks may be started on it, now or soon."""
        return self.state in (ClusterState.STARTING, ClusterState.RUNNING)


@dataclass(eq=False)
class Attempt:
    """One attempt of a task. PENDING: its cluster starts. TERMINATING: it is to end, and has not yet."""

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
    """A task within a run."""

    spec: TaskSpec
    state: State = State.BLOCKED
    attempts: list[Attempt] = field(default_factory=list)
    result: Result | None = None
    code: Code | None = None
    # When the next attempt starts, while it waits for it.
    retry_at: datetime | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    end: datetime | None = None

    @property
    def active(self) -> Attempt | None:
        """The attempt that has not ended."""
        return self.attempts[-1] if self.attempts and self.attempts[-1].end is None else None


class Out:
    """Collects actions and events until somebody takes them; an assumption is told once."""

    def __init__(self, assumptions: Assumptions) -> None:
        self._sentences = {name: (value, sentence) for name, value, sentence in listed(assumptions)}
        self._used: set[str] = set()
        self._actions: list[Action] = []
        self._events: list[Event] = []

    def act(self, action: Action) -> None:
        """Something that is to be done."""
        self._actions.append(action)

    def tell(
        self,
        at: datetime,
        kind: EventKind,
        data: Mapping[str, Json],
        run: int | None = None,
        task: str | None = None,
        attempt: int | None = None,
    ) -> None:
        """Something that happened; data that is None is left out."""
        said = {name: value for name, value in data.items() if value is not None}
        self._events.append(Event(at, kind, run, task, attempt, said))

    def assume(self, at: datetime, name: str) -> None:
        """An assumption has decided something. Raises KeyError for one that is not in the list."""
        value, sentence = self._sentences[name]
        if name not in self._used:
            self._used.add(name)
            self.tell(at, EventKind.ASSUMPTION, {"name": name, "value": value or None, "sentence": sentence})

    def take(self) -> Step:
        """All since the last time."""
        step = Step(tuple(self._actions), tuple(self._events))
        self._actions, self._events = [], []
        return step


@dataclass(frozen=True)
class Shared:
    """What all runs of a job have in common."""

    spec: JobSpec
    assumptions: Assumptions
    out: Out
    ids: Iterator[int]
    job_id: int
    workspace_id: str
    workspace_url: str
