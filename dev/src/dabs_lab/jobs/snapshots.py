"""Immutable snapshots of a job's state, for display."""

from dataclasses import dataclass
from datetime import datetime

from databricks.sdk.service.jobs import RunLifeCycleState, RunResultState, TriggerType

from dabs_lab.jobs.job_run import Run
from dabs_lab.jobs.run_records import Attempt, ClusterState, Code, State, life_cycle


@dataclass(frozen=True)
class AttemptSnapshot:
    """State of an attempt; `number` is 1 for the first."""

    id: int
    number: int
    state: State
    result: RunResultState | None
    code: Code | None
    cluster: str
    start: datetime
    running_since: datetime | None
    end: datetime | None
    exit_code: int | None
    message: str


@dataclass(frozen=True)
class TaskSnapshot:
    """State of a task and its attempts so far."""

    key: str
    state: State
    life_cycle: RunLifeCycleState
    result: RunResultState | None
    code: Code | None
    attempts: tuple[AttemptSnapshot, ...]
    # Start of the next attempt.
    retry_at: datetime | None


@dataclass(frozen=True)
class ClusterSnapshot:
    """State of a driver."""

    id: str
    key: str
    state: ClusterState


@dataclass(frozen=True)
class RunSnapshot:
    """State of a run; `state` is the one that the platform's UI would show."""

    id: int
    trigger: TriggerType
    state: State
    life_cycle: RunLifeCycleState
    result: RunResultState | None
    code: Code | None
    created: datetime
    start: datetime | None
    end: datetime | None
    tasks: tuple[TaskSnapshot, ...]
    clusters: tuple[ClusterSnapshot, ...]


@dataclass(frozen=True)
class JobSnapshot:
    """State of a job: recently ended, active and queued runs, sorted by id."""

    runs: tuple[RunSnapshot, ...]
    # Start of the next triggered run, and failed runs in a row of a continuous job.
    next_run: datetime | None
    failures: int


def run_snapshot(run: Run) -> RunSnapshot:
    """Return the snapshot of a run."""
    tasks = run.tasks.all.values() if run.tasks else ()
    clusters = run.tasks.clusters.all() if run.tasks else ()
    return RunSnapshot(
        run.id,
        run.trigger,
        run.state,
        life_cycle(run.state, run.result),
        run.result,
        run.code,
        run.created,
        run.start,
        run.end,
        tuple(
            TaskSnapshot(
                task.spec.key,
                task.state,
                life_cycle(task.state, task.result),
                task.result,
                task.code,
                tuple(_attempt(attempt) for attempt in task.attempts),
                task.retry_at,
            )
            for task in tasks
        ),
        tuple(ClusterSnapshot(cluster.id, cluster.spec.key, cluster.state) for cluster in clusters),
    )


def _attempt(one: Attempt) -> AttemptSnapshot:
    return AttemptSnapshot(
        one.id,
        one.number,
        one.state,
        one.result,
        one.code,
        one.cluster.id,
        one.start,
        one.running_since,
        one.end,
        one.exit_code,
        one.message,
    )
