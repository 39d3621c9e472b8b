"""Notifications of a run and its tasks.

A task notifies about every attempt, or about its last one (`alert_on_last_attempt`); a job when the run has ended
(docs.databricks.com, "Add notifications on a job"). A success with failures counts as a success.
"""

from datetime import datetime

from dabs_lab.jobs.events import EventKind, Json, Notify
from dabs_lab.jobs.job_spec import NotificationKind, Notifications
from dabs_lab.jobs.run_records import Attempt, Output, Result, TaskRun
from dabs_lab.jobs.task_graph import CANCELED, FAILED

_SKIPPED = (Result.MAXIMUM_CONCURRENT_RUNS_REACHED, Result.UPSTREAM_FAILED, Result.UPSTREAM_CANCELED)


class Notifier:
    """Sends the notifications of one run."""

    def __init__(self, run: int, job: Notifications, out: Output) -> None:
        self._run = run
        self._job = job
        self._out = out

    def run_started(self, now: datetime) -> None:
        """Notify that the run started; a queued run starts when it leaves the queue."""
        self._notify(self._job, NotificationKind.START, now, "the run started")

    def run_ended(self, result: Result, now: datetime) -> None:
        """Notify that the run ended or was skipped."""
        self._ended(self._job, result, now, f"the run ended: {result.value}", None, None)

    def attempt_started(self, task: TaskRun, attempt: Attempt, now: datetime) -> None:
        """Notify that an attempt starts."""
        if attempt.number == 1 or not task.spec.notifications.on_last_attempt_only:
            about = f"attempt {attempt.number} of {task.spec.key} started"
            self._notify(task.spec.notifications, NotificationKind.START, now, about, task, attempt)

    def attempt_ended(self, task: TaskRun, attempt: Attempt, result: Result, retried: bool, now: datetime) -> None:
        """Notify that an attempt ended. retried: another attempt follows."""
        if retried and task.spec.notifications.on_last_attempt_only:
            return
        about = f"attempt {attempt.number} of {task.spec.key} ended: {result.value}{', is retried' if retried else ''}"
        self._ended(task.spec.notifications, result, now, about, task, attempt)

    def task_ended(self, task: TaskRun, result: Result, now: datetime) -> None:
        """Notify that a task was skipped, or canceled before an attempt."""
        self._ended(task.spec.notifications, result, now, f"{task.spec.key} ended: {result.value}", task, None)

    def too_long(self, now: datetime, task: TaskRun | None = None, attempt: Attempt | None = None) -> None:
        """Notify that the run, or an attempt of a task, exceeds its health rule."""
        recipients = self._job if task is None else task.spec.notifications
        what = "the run" if task is None else task.spec.key
        self._notify(recipients, NotificationKind.DURATION, now, f"{what} takes longer than expected", task, attempt)

    def backlog(self, task: TaskRun, metric: str, value: float, now: datetime) -> None:
        """Notify the recipients of the task and of the job about a backlog."""
        about = f"{task.spec.key}: {metric} is {value:g}"
        for recipients, about_task in ((task.spec.notifications, task), (self._job, None)):
            attempt = task.active if about_task else None
            self._notify(recipients, NotificationKind.BACKLOG, now, about, about_task, attempt)

    def _ended(
        self,
        recipients: Notifications,
        result: Result,
        now: datetime,
        about: str,
        task: TaskRun | None,
        attempt: Attempt | None,
    ) -> None:
        if result in (Result.SUCCESS, Result.SUCCESS_WITH_FAILURES):
            self._notify(recipients, NotificationKind.SUCCESS, now, about, task, attempt)
        elif result in _SKIPPED:
            if (
                recipients.notify_skipped
                and self._notify(recipients, NotificationKind.FAILURE, now, about, task, attempt)
                and task
            ):
                self._out.assume(now, "canceled_told")
        elif result in CANCELED:
            if recipients.notify_canceled and self._notify(
                recipients, NotificationKind.FAILURE, now, about, task, attempt
            ):
                self._out.assume(now, "canceled_told")
        elif result in FAILED:
            self._notify(recipients, NotificationKind.FAILURE, now, about, task, attempt)

    def _notify(
        self,
        recipients: Notifications,
        kind: NotificationKind,
        now: datetime,
        about: str,
        task: TaskRun | None = None,
        attempt: Attempt | None = None,
    ) -> bool:
        emails, webhooks = recipients.emails.get(kind, ()), recipients.webhooks.get(kind, ())
        if not emails and not webhooks:
            return False
        key, number = task.spec.key if task else None, attempt.id if attempt else None
        self._out.act(Notify(kind, emails, webhooks, self._run, key, number, about))
        data: dict[str, Json] = {"kind": kind.value, "about": about, "emails": [*emails], "webhooks": [*webhooks]}
        self._out.emit(now, EventKind.NOTIFICATION, data, self._run, key, number)
        return True
