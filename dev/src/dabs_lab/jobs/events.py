"""What goes into the state machine of a job, and what comes out: inputs, actions, and events for who watches.

All are plain data. Times have a time zone; numbers of runs and attempts come from one counter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from databricks.sdk.service.jobs import RunResultState, TerminationCodeCode

from dabs_lab.jobs.job_spec import ClusterSpec, NoticeKind, TaskSpec

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True)
class Tick:
    """Time went on; nothing else happened."""

    at: datetime


@dataclass(frozen=True)
class RunNow:
    """Somebody asks for a run, with other values for job parameters if wanted."""

    at: datetime
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClusterUp:
    """The driver of a cluster that was asked for answers."""

    at: datetime
    cluster: str


@dataclass(frozen=True)
class ClusterLost:
    """The driver of a cluster ended, or never came up. To be told before the ends of the attempts on it."""

    at: datetime
    cluster: str
    message: str = ""


@dataclass(frozen=True)
class AttemptEnded:
    """The process of an attempt is gone: of itself, by CancelAttempt, or with its driver."""

    at: datetime
    attempt: int
    # 0 is success; None when nobody knows, as after a signal.
    exit_code: int | None
    message: str = ""
    # Task values that later tasks may refer to.
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BacklogExceeded:
    """A task's streams are behind what its health rule allows (the mean of ten minutes, as on the platform)."""

    at: datetime
    run: int
    task: str
    metric: str
    value: float


@dataclass(frozen=True)
class Cancel:
    """Somebody cancels a run, or one task of it."""

    at: datetime
    run: int
    task: str | None = None


@dataclass(frozen=True)
class Stop:
    """The runner is to end: no new run, and what runs is canceled."""

    at: datetime


Input = Tick | RunNow | ClusterUp | ClusterLost | AttemptEnded | BacklogExceeded | Cancel | Stop


@dataclass(frozen=True)
class StartCluster:
    """Start a driver; answer with ClusterUp or ClusterLost."""

    cluster: str
    run: int
    spec: ClusterSpec


@dataclass(frozen=True)
class StopCluster:
    """Nothing needs this driver any more, or it is lost; no answer is expected."""

    cluster: str


@dataclass(frozen=True)
class StartAttempt:
    """Start the process of a task on a cluster that is up; answer with AttemptEnded when it is gone."""

    attempt: int
    run: int
    task: TaskSpec
    # `{{task.execution_count}}`: 1 for the first.
    number: int
    cluster: str
    # The command line, references filled in.
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class CancelAttempt:
    """End the process of an attempt; answer with AttemptEnded once it is gone."""

    attempt: int
    reason: str


@dataclass(frozen=True)
class Notify:
    """Who would be told now, about what: e-mail addresses, and the ids of webhook destinations."""

    kind: NoticeKind
    emails: tuple[str, ...]
    webhooks: tuple[str, ...]
    run: int
    # None for a notification of the job.
    task: str | None
    attempt: int | None
    about: str


@dataclass(frozen=True)
class RunEnded:
    """A run is over (a skipped one too)."""

    run: int
    result: RunResultState
    code: TerminationCodeCode
    # A run that is replaced, since a task is not tried again, is canceled by its words and failed by its meaning.
    failed: bool = False


Action = StartCluster | StopCluster | StartAttempt | CancelAttempt | Notify | RunEnded


class EventKind(StrEnum):
    """Kinds of events, and with which data they come (besides time, run, task and attempt)."""

    # state, result, code; trigger with the first; queue_reason when it waits; message when it is to end.
    RUN = "run"
    # state, result, code
    TASK = "task"
    # state, result, code, number, cluster; exit_code and message with the end.
    ATTEMPT = "attempt"
    # cluster, key, state (STARTING, RUNNING, LOST or STOPPED), message
    CLUSTER = "cluster"
    # next_at, number: when the next attempt starts, and which one it is.
    RETRY = "retry"
    # next_at, failures: when the next run of a continuous job starts, and failed runs in a row.
    NEXT_RUN = "next_run"
    # kind, emails, webhooks, about
    NOTIFICATION = "notification"
    # name, value, sentence: the first time that it decides something.
    ASSUMPTION = "assumption"


@dataclass(frozen=True)
class Event:
    """One thing that happened, for `--json` and the list under the table."""

    at: datetime
    kind: EventKind
    run: int | None = None
    task: str | None = None
    attempt: int | None = None
    data: Mapping[str, Json] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Json]:
        """As JSON takes it; what is not said is left out."""
        found: dict[str, Json] = {"at": iso(self.at), "event": self.kind.value}
        named: dict[str, Json] = {"run": self.run, "task": self.task, "attempt": self.attempt}
        return found | {name: value for name, value in named.items() if value is not None} | dict(self.data)


@dataclass(frozen=True)
class Step:
    """What one input led to: what is to be done, in this order, and what is to be shown."""

    actions: tuple[Action, ...]
    events: tuple[Event, ...]


def iso(moment: datetime) -> str:
    """A time in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
