"""Who is told, and when.

Task-level notifications are for every attempt, unless only the last one is to be told; those of the job are held back
until the run has ended (docs.databricks.com, "Add notifications on a job"). A success with failures is a success.
"""

from datetime import datetime

from dabs_lab.jobs.events import EventKind, Json, Notify
from dabs_lab.jobs.job_spec import NoticeKind, Notifications
from dabs_lab.jobs.run_records import Attempt, Out, Result, TaskRun
from dabs_lab.jobs.task_graph import CANCELED, FAILED

_SKIPPED = (Result.MAXIMUM_CONCURRENT_RUNS_REACHED, Result.UPSTREAM_FAILED, Result.UPSTREAM_CANCELED)


class Notices:
    """Tells what happened to one run to those who want to know."""

    def __init__(self, run: int, job: Notifications, out: Out) -> None:
        self._run = run
        self._job = job
        self._out = out

    def run_started(self, now: datetime) -> None:
        """The run left the queue, if it was in one."""
        self._notify(self._job, NoticeKind.START, now, "the run started")

    def run_ended(self, result: Result, now: datetime) -> None:
        """The run is over, or was skipped."""
        self._ended(self._job, result, now, f"the run ended: {result.value}", None, None)

    def attempt_started(self, task: TaskRun, attempt: Attempt, now: datetime) -> None:
        """An attempt is about to start."""
        if attempt.number == 1 or not task.spec.notifications.on_last_attempt_only:
            about = f"attempt {attempt.number} of {task.spec.key} started"
            self._notify(task.spec.notifications, NoticeKind.START, now, about, task, attempt)

    def attempt_ended(self, task: TaskRun, attempt: Attempt, result: Result, retried: bool, now: datetime) -> None:
        """An attempt is over, and whether another one follows."""
        if retried and task.spec.notifications.on_last_attempt_only:
            return
        about = f"attempt {attempt.number} of {task.spec.key} ended: {result.value}{', is retried' if retried else ''}"
        self._ended(task.spec.notifications, result, now, about, task, attempt)

    def task_ended(self, task: TaskRun, result: Result, now: datetime) -> None:
        """A task is over without an attempt: skipped, or canceled while it waited."""
        self._ended(task.spec.notifications, result, now, f"{task.spec.key} ended: {result.value}", task, None)

    def too_long(self, now: datetime, task: TaskRun | None = None, attempt: Attempt | None = None) -> None:
        """A run, or an attempt of a task, takes longer than its health rule allows."""
        who = self._job if task is None else task.spec.notifications
        what = "the run" if task is None else task.spec.key
        self._notify(who, NoticeKind.DURATION, now, f"{what} takes longer than expected", task, attempt)

    def backlog(self, task: TaskRun, metric: str, value: float, now: datetime) -> None:
        """A task's streams are behind: its own people are told, and the job's."""
        about = f"{task.spec.key}: {metric} is {value:g}"
        for who, whose in ((task.spec.notifications, task), (self._job, None)):
            self._notify(who, NoticeKind.BACKLOG, now, about, whose, task.active if whose else None)

    def _ended(
        self,
        who: Notifications,
        result: Result,
        now: datetime,
        about: str,
        task: TaskRun | None,
        attempt: Attempt | None,
    ) -> None:
        if result in (Result.SUCCESS, Result.SUCCESS_WITH_FAILURES):
            self._notify(who, NoticeKind.SUCCESS, now, about, task, attempt)
        elif result in _SKIPPED:
            if who.tell_skipped and self._notify(who, NoticeKind.FAILURE, now, about, task, attempt) and task:
                self._out.assume(now, "canceled_told")
        elif result in CANCELED:
            if who.tell_canceled and self._notify(who, NoticeKind.FAILURE, now, about, task, attempt):
                self._out.assume(now, "canceled_told")
        elif result in FAILED:
            self._notify(who, NoticeKind.FAILURE, now, about, task, attempt)

    def _notify(
        self,
        who: Notifications,
        kind: NoticeKind,
        now: datetime,
        about: str,
        task: TaskRun | None = None,
        attempt: Attempt | None = None,
    ) -> bool:
        emails, webhooks = who.emails.get(kind, ()), who.webhooks.get(kind, ())
        if not emails and not webhooks:
            return False
        key, number = task.spec.key if task else None, attempt.id if attempt else None
        self._out.act(Notify(kind, emails, webhooks, self._run, key, number, about))
        said: dict[str, Json] = {
            "kind": kind.value,
            "about": about,
            "emails": [*emails],
            "webhooks": [*webhooks],
        }
        self._out.tell(now, EventKind.NOTIFICATION, said, self._run, key, number)
        return True
