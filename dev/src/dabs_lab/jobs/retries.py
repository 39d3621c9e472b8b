"""Whether and when a failed task is tried again, and when the next run of a continuous job starts."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from databricks.sdk.service.jobs import TaskRetryMode

from dabs_lab.jobs.run_records import Attempt, Result, Shared, TaskRun

_FOR_EVER = -1


def next_attempt(
    task: TaskRun, failed: Attempt, others: Iterable[TaskRun], shared: Shared, now: datetime
) -> datetime | None:
    """When the next attempt of a task starts whose attempt failed or timed out; None when there is none.

    By the task's own policy: the interval counts from start to start. In a continuous job by its mode: ON_FAILURE
    "retry a failed task if at least one other task in the job is still running its first attempt", up to a limit (SDK,
    TaskRetryMode); the only task of a job is retried up to a limit too.
    """
    continuous = shared.spec.continuous
    if continuous is None:
        limit = task.spec.max_retries
        if failed.result is Result.TIMEDOUT and not task.spec.retry_on_timeout:
            return None
        if limit != _FOR_EVER and len(task.attempts) > limit:
            return None
        return max(now, failed.start + task.spec.min_retry_interval)
    if continuous.task_retry_mode is not TaskRetryMode.ON_FAILURE:
        return None
    assumptions, out = shared.assumptions, shared.out
    if failed.result is Result.TIMEDOUT:
        out.assume(now, "continuous_timeout")
    name = "single_task_retries" if len(shared.spec.tasks) == 1 else "several_tasks_retries"
    out.assume(now, name)
    if len(task.attempts) > int(getattr(assumptions, name)):
        return None
    if len(shared.spec.tasks) > 1:
        out.assume(now, "first_attempt")
        if not any(_in_first_attempt(other) for other in others if other is not task):
            return None
    out.assume(now, "task_backoff")
    return now + assumptions.task_backoff.pause(len(task.attempts))


def _in_first_attempt(task: TaskRun) -> bool:
    # What is about to end (a driver lost, a time-out) is no healthy sibling.
    return task.active is not None and task.active.number == 1 and task.active.cause is None


class Backing:
    """How many runs of a continuous job failed in a row, and the pause that follows."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.failures = 0

    def reset(self) -> None:
        """The next run is a first one again, as when somebody asks for it."""
        self.failures = 0

    def pause(self, failed: bool, succeeded: bool, lived: timedelta, now: datetime) -> timedelta:
        """The pause after a run that failed, succeeded, or was canceled by somebody."""
        assumptions, out = self._shared.assumptions, self._shared.out
        if succeeded or (failed and lived >= assumptions.healthy_after):
            if self.failures:
                out.assume(now, "healthy_after")
            self.failures = 0
        if failed:
            self.failures += 1
            out.assume(now, "tolerated_failures")
        if self.failures > assumptions.tolerated_failures:
            out.assume(now, "run_backoff")
            return assumptions.run_backoff.pause(self.failures - assumptions.tolerated_failures)
        out.assume(now, "run_gap")
        return assumptions.run_gap
