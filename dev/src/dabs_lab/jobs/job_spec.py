"""Typed and checked settings of a job that have an effect on this machine.

`spec_builder.job_spec` makes them from a bundle. Enums are those of `databricks.sdk.service.jobs`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from databricks.sdk.service.jobs import JobsHealthMetric, RunIf, TaskRetryMode

from dabs_lab.bundle import Position
from dabs_lab.jobs.quartz import Quartz


class NotificationKind(StrEnum):
    """Settings that cause a notification."""

    START = "on_start"
    SUCCESS = "on_success"
    FAILURE = "on_failure"
    DURATION = "on_duration_warning_threshold_exceeded"
    BACKLOG = "on_streaming_backlog_exceeded"


@dataclass(frozen=True)
class Notifications:
    """Recipients of a job or a task by kind: e-mail addresses and ids of webhook destinations."""

    emails: Mapping[NotificationKind, tuple[str, ...]] = field(default_factory=dict)
    webhooks: Mapping[NotificationKind, tuple[str, ...]] = field(default_factory=dict)
    on_last_attempt_only: bool = False
    notify_skipped: bool = True
    notify_canceled: bool = True


@dataclass(frozen=True)
class HealthRule:
    """Upper limit of a metric, in seconds, bytes, records or files."""

    metric: JobsHealthMetric
    value: int


@dataclass(frozen=True)
class WheelTask:
    """An entry point of an installed package, with named or positional parameters."""

    package: str
    entry_point: str
    named_parameters: Mapping[str, str] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class PythonFileTask:
    """A Python file, by its path in the deployment, and its parameters."""

    file: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClusterSpec:
    """A job cluster that tasks of a run share, or the cluster of one task (`own`)."""

    key: str
    spark_conf: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    own: bool = False


@dataclass(frozen=True)
class TaskSpec:
    """Settings of a task."""

    key: str
    work: WheelTask | PythonFileTask
    cluster: ClusterSpec
    depends_on: tuple[str, ...] = ()
    run_if: RunIf = RunIf.ALL_SUCCESS
    # -1 means no limit.
    max_retries: int = 0
    # From the start of an attempt to the start of the next one.
    min_retry_interval: timedelta = timedelta(0)
    retry_on_timeout: bool = False
    timeout: timedelta | None = None
    notifications: Notifications = field(default_factory=Notifications)
    health: tuple[HealthRule, ...] = ()

    @property
    def duration_warning(self) -> timedelta | None:
        """Return the duration of an attempt after which a notification is sent."""
        return _duration(self.health)


@dataclass(frozen=True)
class Schedule:
    """Times at which runs start."""

    quartz: Quartz
    zone: ZoneInfo
    paused: bool = False


@dataclass(frozen=True)
class Continuous:
    """Settings of a job that always has one run."""

    task_retry_mode: TaskRetryMode = TaskRetryMode.NEVER
    paused: bool = False


@dataclass(frozen=True)
class NoEffect:
    """A setting without an effect on this machine: its path, position and reason."""

    path: str
    position: Position
    reason: str


def pushed_down(named: Mapping[str, str], of_job: Mapping[str, str]) -> dict[str, str]:
    """Return the named parameters that a wheel task gets; empty for a task without named ones of its own.

    The job's parameters are pushed down to it, and take precedence (docs.databricks.com, "Configure job parameters").
    """
    return {**named, **of_job} if named else {}


@dataclass(frozen=True)
class JobSpec:
    """A job of the bundle for one target."""

    key: str
    name: str
    tasks: tuple[TaskSpec, ...]
    parameters: Mapping[str, str] = field(default_factory=dict)
    timeout: timedelta | None = None
    max_concurrent_runs: int = 1
    queue: bool = False
    schedule: Schedule | None = None
    continuous: Continuous | None = None
    notifications: Notifications = field(default_factory=Notifications)
    health: tuple[HealthRule, ...] = ()
    no_effect: tuple[NoEffect, ...] = ()
    # Text that the platform accepts and that is probably a mistake.
    warnings: tuple[str, ...] = ()

    @property
    def paused(self) -> bool:
        """True if no run starts by a trigger."""
        trigger = self.continuous or self.schedule
        return trigger is None or trigger.paused

    @property
    def duration_warning(self) -> timedelta | None:
        """Return the duration of a run after which a notification is sent."""
        return _duration(self.health)

    def task(self, key: str) -> TaskSpec:
        """Return a task by its key. Raises KeyError."""
        for task in self.tasks:
            if task.key == key:
                return task
        raise KeyError(key)

    def named_parameters(self, task: TaskSpec) -> Mapping[str, str]:
        """Return the named parameters that a task gets, unresolved; empty for a task with positional ones."""
        return pushed_down(task.work.named_parameters if isinstance(task.work, WheelTask) else {}, self.parameters)

    def leaves(self) -> Iterator[TaskSpec]:
        """Return the tasks that no other depends on; their results decide the result of a run."""
        needed = {key for task in self.tasks for key in task.depends_on}
        return (task for task in self.tasks if task.key not in needed)

    def upstream(self, key: str) -> frozenset[str]:
        """Return the keys of all direct and indirect dependencies of a task."""
        found: set[str] = set()
        waiting = list(self.task(key).depends_on)
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self.task(one).depends_on
        return frozenset(found)


def _duration(rules: tuple[HealthRule, ...]) -> timedelta | None:
    found = [rule.value for rule in rules if rule.metric is JobsHealthMetric.RUN_DURATION_SECONDS]
    return timedelta(seconds=min(found)) if found else None
