"""Inputs of the state machine of a job, and its outputs: actions to do, and events to display.

Times have a time zone. Ids of runs and attempts come from one counter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from databricks.sdk.service.jobs import RunResultState, TerminationCodeCode

from dabs_lab.jobs.job_spec import ClusterSpec, NotificationKind, TaskSpec

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True)
class Tick:
    """Time has passed; nothing else happened."""

    at: datetime


@dataclass(frozen=True)
class RunNow:
    """Request to start a run, optionally with other values of job parameters."""

    at: datetime
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClusterUp:
    """The driver of a requested cluster is ready."""

    at: datetime
    cluster: str


@dataclass(frozen=True)
class ClusterLost:
    """The driver of a cluster ended or did not start. Feed it before AttemptEnded of the attempts on it."""

    at: datetime
    cluster: str
    message: str = ""


@dataclass(frozen=True)
class AttemptEnded:
    """The process of an attempt ended: by itself, by CancelAttempt, or with its driver."""

    at: datetime
    attempt: int
    # 0 is success; None if unknown, as after a signal.
    exit_code: int | None
    message: str = ""
    # Task values that later tasks may refer to.
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BacklogExceeded:
    """A task's backlog exceeds its health rule (mean of ten minutes, as on the platform)."""

    at: datetime
    run: int
    task: str
    metric: str
    value: float


@dataclass(frozen=True)
class Cancel:
    """Request to cancel a run, or one task of it."""

    at: datetime
    run: int
    task: str | None = None


@dataclass(frozen=True)
class Stop:
    """Request to end the runner: start no run, cancel all active ones."""

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
    """Stop a driver that is lost or no longer needed; no answer is expected."""

    cluster: str


@dataclass(frozen=True)
class StartAttempt:
    """Start the process of a task on a running cluster; answer with AttemptEnded when it ends."""

    attempt: int
    run: int
    task: TaskSpec
    # `{{task.execution_count}}`: 1 for the first.
    number: int
    cluster: str
    # Command line with values in place of references.
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class CancelAttempt:
    """End the process of an attempt; answer with AttemptEnded when it has ended."""

    attempt: int
    reason: str


@dataclass(frozen=True)
class Notify:
    """Notification that the platform would send: e-mail addresses, and ids of webhook destinations."""

    kind: NotificationKind
    emails: tuple[str, ...]
    webhooks: tuple[str, ...]
    run: int
    # None for a notification of the job.
    task: str | None
    attempt: int | None
    about: str


@dataclass(frozen=True)
class RunEnded:
    """A run ended or was skipped."""

    run: int
    result: RunResultState
    code: TerminationCodeCode
    # True too for the CANCELED run of a continuous job that is replaced because a task has no retries left.
    failed: bool = False


Action = StartCluster | StopCluster | StartAttempt | CancelAttempt | Notify | RunEnded


class EventKind(StrEnum):
    """Kinds of events, and their data in addition to time, run, task and attempt."""

    # state, result, code; trigger in the first event; queue_reason while queued; message when it is being ended.
    RUN = "run"
    # state, result, code
    TASK = "task"
    # state, result, code, number, cluster; exit_code and message at the end.
    ATTEMPT = "attempt"
    # cluster, key, state (STARTING, RUNNING, LOST or STOPPED), message
    CLUSTER = "cluster"
    # next_at, number: start and number of the next attempt.
    RETRY = "retry"
    # next_at, failures: start of the next run of a continuous job, and failed runs in a row.
    NEXT_RUN = "next_run"
    # kind, emails, webhooks, about
    NOTIFICATION = "notification"
    # name, value, sentence: emitted the first time that it decides something.
    ASSUMPTION = "assumption"


@dataclass(frozen=True)
class Event:
    """A change of state, for `--json` and the list under the table."""

    at: datetime
    kind: EventKind
    run: int | None = None
    task: str | None = None
    attempt: int | None = None
    data: Mapping[str, Json] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Json]:
        """Return the JSON object; absent ids are left out."""
        found: dict[str, Json] = {"at": iso(self.at), "event": self.kind.value}
        named: dict[str, Json] = {"run": self.run, "task": self.task, "attempt": self.attempt}
        return found | {name: value for name, value in named.items() if value is not None} | dict(self.data)


@dataclass(frozen=True)
class Step:
    """Result of one input: actions in order, and events."""

    actions: tuple[Action, ...]
    events: tuple[Event, ...]


def iso(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
