"""One run of a job, from its trigger to its end."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from databricks.sdk.service.jobs import QueueDetailsCodeCode, TriggerType

from dabs_lab.jobs import task_parameters as parameters
from dabs_lab.jobs.dynamic_values import RunContext
from dabs_lab.jobs.events import EventKind, Json, RunEnded
from dabs_lab.jobs.notifications import Notifier
from dabs_lab.jobs.run_records import OUTCOMES, Cause, Code, Outcome, Result, Shared, State
from dabs_lab.jobs.task_runs import Tasks


class Run:
    """A run. due: scheduled time of its trigger. given: values of job parameters."""

    def __init__(
        self, shared: Shared, trigger: TriggerType, due: datetime, now: datetime, given: Mapping[str, str]
    ) -> None:
        self.id = next(shared.ids)
        self.trigger = trigger
        self.created = now
        self.start: datetime | None = None
        self.end: datetime | None = None
        self.state = State.QUEUED
        self.result: Result | None = None
        self.code: Code | None = None
        # None until it starts.
        self.tasks: Tasks | None = None
        # Reason why the run is ended before all its tasks have ended.
        self.closing: Cause | None = None
        self._shared, self._out, self._spec = shared, shared.out, shared.spec
        self._notifier = Notifier(self.id, shared.spec.notifications, shared.out)
        self._due, self._given, self._warned = due, given, False

    @property
    def failed(self) -> bool:
        """True if it counts as a failure of a continuous job.

        A run that is replaced because a task has no retries left has the result CANCELED and counts as failed.
        """
        gave_up = self.tasks is not None and self.tasks.gave_up
        return self.result in (Result.FAILED, Result.TIMEDOUT) or (self.closing is Cause.PLATFORM and gave_up)

    def queue(self, now: datetime) -> None:
        """Wait until another run has ended."""
        reason = QueueDetailsCodeCode.MAX_CONCURRENT_RUNS_REACHED
        self._emit(now, queue_reason=reason.value, trigger=self.trigger.value)

    def skip(self, now: datetime) -> None:
        """End without running: the maximum of concurrent runs is reached, or the wait in the queue was too long."""
        self._finish((Result.MAXIMUM_CONCURRENT_RUNS_REACHED, Code.MAX_CONCURRENT_RUNS_EXCEEDED), now)

    def begin(self, now: datetime) -> None:
        """Start the run."""
        self.start, self.state = now, State.PENDING
        context = self._context(now)
        self._emit(now, trigger=self.trigger.value)
        self._notifier.run_started(now)
        self.tasks = Tasks(self._shared, context, self._notifier, now)
        self.advance(now)

    def advance(self, now: datetime) -> None:
        """Apply timeouts, warnings and retries that are due; end the run when all tasks have ended."""
        if self.tasks is None or self.start is None or self.end:
            return
        if self._spec.timeout and self.start + self._spec.timeout <= now and not self.closing:
            self._out.assume(now, "timeout_start")
            self.close(Cause.TIMEOUT, now)
        if self._spec.duration_warning and self.start + self._spec.duration_warning <= now and not self._warned:
            self._warned = True
            self._notifier.too_long(now)
        self.tasks.advance(now)
        if self.tasks.gave_up and not self.closing:
            self.close(Cause.PLATFORM, now)
            self.tasks.advance(now)
        if self.state is State.PENDING and self.tasks.launched:
            self.state = State.RUNNING
            self._emit(now)
        if self.tasks.done:
            self._finish(OUTCOMES[self.closing] if self.closing else self.tasks.outcome(now), now)

    def deadlines(self) -> Iterator[datetime]:
        """Return the times at which `advance` has something to do."""
        if self.tasks is None or self.start is None or self.end:
            return
        if self._spec.timeout and not self.closing:
            yield self.start + self._spec.timeout
        if self._spec.duration_warning and not self._warned:
            yield self.start + self._spec.duration_warning
        yield from self.tasks.deadlines()

    def close(self, cause: Cause, now: datetime) -> None:
        """End the run: cancel active tasks and start no others."""
        if self.closing or self.end:
            return
        self.closing = cause
        if self.tasks is None:
            self._finish(OUTCOMES[cause], now)
            return
        self.state = State.TERMINATING
        self._emit(now, message=cause.value)
        self.tasks.close(Cause.USER if cause is Cause.USER else Cause.PLATFORM, now)

    def backlog(self, task: str, metric: str, value: float, now: datetime) -> None:
        """Notify about a backlog of a task. Raises KeyError for an unknown task."""
        if self.tasks is not None:
            self._notifier.backlog(self.tasks.all[task], metric, value, now)

    def _context(self, now: datetime) -> RunContext:
        shared = self._shared
        scheduled = self.trigger is TriggerType.PERIODIC
        context = RunContext(
            job_id=shared.job_id,
            job_name=self._spec.name,
            run_id=self.id,
            start_time=now,
            trigger_type=self.trigger.value.lower(),
            # The platform rounds the time of a schedule down to the minute.
            trigger_time=self._due.replace(second=0, microsecond=0) if scheduled else self._due,
            workspace_id=shared.workspace_id,
            workspace_url=shared.workspace_url,
        )
        filled = parameters.job_parameters(self._spec, self._given, context)
        return RunContext(**{**context.__dict__, "parameters": filled})

    def _finish(self, outcome: Outcome, now: datetime) -> None:
        never_started = self.state is State.QUEUED
        self.state, self.end = State.TERMINATED, now
        self.result, self.code = outcome
        self._emit(now, trigger=self.trigger.value if never_started else None)
        self._out.act(RunEnded(self.id, *outcome, self.failed))
        self._notifier.run_ended(self.result, now)

    def _emit(self, now: datetime, **more: str | None) -> None:
        result, code = (self.result.value if self.result else None), (self.code.value if self.code else None)
        data: dict[str, Json] = {"state": self.state.value, "result": result, "code": code, **more}
        self._out.emit(now, EventKind.RUN, data, self.id)
