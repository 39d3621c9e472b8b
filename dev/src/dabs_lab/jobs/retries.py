"""Retries of failed tasks, and pauses between runs of a continuous job."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from databricks.sdk.service.jobs import TaskRetryMode

from dabs_lab.jobs.run_records import Attempt, Result, Shared, TaskRun

_UNLIMITED = -1


def next_attempt(
    task: TaskRun, failed: Attempt, others: Iterable[TaskRun], shared: Shared, now: datetime
) -> datetime | None:
    """Return the start of the next attempt after one that failed or timed out; None without a retry.

    The interval of the task's policy counts from start to start. A continuous job has a mode instead: ON_FAILURE
    "retry a failed task if at least one other task in the job is still running its first attempt", up to a limit (SDK,
    TaskRetryMode). The only task of a continuous job is also retried up to a limit.
    """
    continuous = shared.spec.continuous
    if continuous is None:
        limit = task.spec.max_retries
        if failed.result is Result.TIMEDOUT and not task.spec.retry_on_timeout:
            return None
        if limit != _UNLIMITED and len(task.attempts) > limit:
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
    # An attempt that is being ended (lost driver, timeout) does not count.
    return task.active is not None and task.active.number == 1 and task.active.cause is None


class RunBackoff:
    """Count of failed runs in a row of a continuous job, and the pause before the next run."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.failures = 0

    def reset(self) -> None:
        """Forget earlier failures, as after a requested run."""
        self.failures = 0

    def pause(self, failed: bool, succeeded: bool, lived: timedelta, now: datetime) -> timedelta:
        """Return the pause after a run that failed, succeeded, or was canceled (neither)."""
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
