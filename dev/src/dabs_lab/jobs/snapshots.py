"""The states of a job, to be shown: plain data that nothing changes any more."""

from dataclasses import dataclass
from datetime import datetime

from databricks.sdk.service.jobs import RunLifeCycleState, RunResultState, TriggerType

from dabs_lab.jobs.job_run import Run
from dabs_lab.jobs.run_records import Attempt, ClusterState, Code, State, life_cycle


@dataclass(frozen=True)
class AttemptView:
    """An attempt of a task; `number` is 1 for the first."""

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
class TaskView:
    """A task of a run, with its attempts so far."""

    key: str
    state: State
    life_cycle: RunLifeCycleState
    result: RunResultState | None
    code: Code | None
    attempts: tuple[AttemptView, ...]
    # When the next attempt starts.
    retry_at: datetime | None


@dataclass(frozen=True)
class ClusterView:
    """A driver of a run."""

    id: str
    key: str
    state: ClusterState


@dataclass(frozen=True)
class RunView:
    """A run: `state` is what the UI of the platform would show."""

    id: int
    trigger: TriggerType
    state: State
    life_cycle: RunLifeCycleState
    result: RunResultState | None
    code: Code | None
    created: datetime
    start: datetime | None
    end: datetime | None
    tasks: tuple[TaskView, ...]
    clusters: tuple[ClusterView, ...]


@dataclass(frozen=True)
class JobView:
    """A job: the last runs that ended, those that run, and those that wait, in the order of their ids."""

    runs: tuple[RunView, ...]
    # When the next run starts by itself, and failed runs in a row of a continuous job.
    next_run: datetime | None
    failures: int


def view(run: Run) -> RunView:
    """What there is to show of a run."""
    tasks = run.tasks.all.values() if run.tasks else ()
    clusters = run.tasks.clusters.all() if run.tasks else ()
    return RunView(
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
            TaskView(
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
        tuple(ClusterView(cluster.id, cluster.spec.key, cluster.state) for cluster in clusters),
    )


def _attempt(one: Attempt) -> AttemptView:
    return AttemptView(
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
