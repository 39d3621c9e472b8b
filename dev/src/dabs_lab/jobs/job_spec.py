"""A job as the runner knows it: the settings that decide something here, checked, with every reference to others gone.

`build.job_spec` makes these from a bundle; words of the platform are those of `databricks.sdk.service.jobs`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from databricks.sdk.service.jobs import JobsHealthMetric, RunIf, TaskRetryMode

from dabs_lab.bundle import Position
from dabs_lab.jobs.quartz import Quartz


class NoticeKind(StrEnum):
    """The settings by which people are told."""

    START = "on_start"
    SUCCESS = "on_success"
    FAILURE = "on_failure"
    DURATION = "on_duration_warning_threshold_exceeded"
    BACKLOG = "on_streaming_backlog_exceeded"


@dataclass(frozen=True)
class Notifications:
    """Who is told about what, of a job or a task: addresses and ids of webhook destinations."""

    emails: Mapping[NoticeKind, tuple[str, ...]] = field(default_factory=dict)
    webhooks: Mapping[NoticeKind, tuple[str, ...]] = field(default_factory=dict)
    on_last_attempt_only: bool = False
    tell_skipped: bool = True
    tell_canceled: bool = True


@dataclass(frozen=True)
class HealthRule:
    """More than this is not healthy: seconds, bytes, records or files, by the metric."""

    metric: JobsHealthMetric
    value: int


@dataclass(frozen=True)
class WheelTask:
    """An entry point of an installed package; either named or plain parameters."""

    package: str
    entry_point: str
    named_parameters: Mapping[str, str] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class PythonFileTask:
    """A Python file, as the bundle names it where it is deployed to, and its parameters."""

    file: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClusterSpec:
    """A driver: a job cluster that tasks share within a run, or one of a task's own."""

    key: str
    spark_conf: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    own: bool = False


@dataclass(frozen=True)
class TaskSpec:
    """A task: what it runs, on which driver, after what, and what happens when it fails."""

    key: str
    work: WheelTask | PythonFileTask
    cluster: ClusterSpec
    depends_on: tuple[str, ...] = ()
    run_if: RunIf = RunIf.ALL_SUCCESS
    # -1 is for ever.
    max_retries: int = 0
    # From start to start.
    min_retry_interval: timedelta = timedelta(0)
    retry_on_timeout: bool = False
    timeout: timedelta | None = None
    notifications: Notifications = field(default_factory=Notifications)
    health: tuple[HealthRule, ...] = ()

    @property
    def duration_warning(self) -> timedelta | None:
        """How long an attempt may take before somebody is told."""
        return _duration(self.health)


@dataclass(frozen=True)
class Schedule:
    """A time-table."""

    quartz: Quartz
    zone: ZoneInfo
    paused: bool = False


@dataclass(frozen=True)
class Continuous:
    """Always one run."""

    task_retry_mode: TaskRetryMode = TaskRetryMode.NEVER
    paused: bool = False


@dataclass(frozen=True)
class NoEffect:
    """A setting that changes nothing here: which, where it was written, and why."""

    path: str
    position: Position
    reason: str


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
    # What the platform would take in silence, and hardly anybody means.
    warnings: tuple[str, ...] = ()

    @property
    def paused(self) -> bool:
        """Whether it runs only when somebody asks for it."""
        trigger = self.continuous or self.schedule
        return trigger is None or trigger.paused

    @property
    def duration_warning(self) -> timedelta | None:
        """How long a run may take before somebody is told."""
        return _duration(self.health)

    def task(self, key: str) -> TaskSpec:
        """A task by its key. Raises KeyError."""
        for task in self.tasks:
            if task.key == key:
                return task
        raise KeyError(key)

    def leaves(self) -> Iterator[TaskSpec]:
        """The tasks that no other depends on: by them a run is judged."""
        needed = {key for task in self.tasks for key in task.depends_on}
        return (task for task in self.tasks if task.key not in needed)

    def upstream(self, key: str) -> frozenset[str]:
        """The tasks that a task waits for, directly or not."""
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
