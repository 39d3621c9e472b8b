"""State machine of one job: takes inputs, returns actions and events. It has no clock and starts no process.

The caller feeds inputs, executes the actions, and feeds a Tick at `next_wakeup()`. The same inputs always give the same
outputs. `assumptions.py` has the rules that the platform does not publish.
"""

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import count

from databricks.sdk.service.jobs import TriggerType

from dabs_lab.jobs.assumptions import Assumptions
from dabs_lab.jobs.dynamic_values import UnknownReferenceError, check, references
from dabs_lab.jobs.events import (
    AttemptEnded,
    BacklogExceeded,
    Cancel,
    ClusterLost,
    ClusterUp,
    EventKind,
    Input,
    Json,
    RunNow,
    Step,
    Stop,
    Tick,
    iso,
)
from dabs_lab.jobs.job_run import Run
from dabs_lab.jobs.job_spec import JobSpec
from dabs_lab.jobs.retries import RunBackoff
from dabs_lab.jobs.run_records import Cause, Output, Result, Shared
from dabs_lab.jobs.snapshots import JobSnapshot, run_snapshot

# "A minimum interval of 10 seconds between subsequent runs triggered by the schedule" (docs, "Run jobs on a schedule").
_LEAST_INTERVAL = timedelta(seconds=10)
# Ended runs in the snapshot. The number is limited because a continuous job never stops.
_KEPT = 50


class JobMachine:
    """A job from `start` on. Triggers start no run at or after `until`; `paused` overrides the job's setting."""

    def __init__(
        self,
        spec: JobSpec,
        start: datetime,
        *,
        job_id: int = 1,
        first_id: int = 1,
        assumptions: Assumptions | None = None,
        until: datetime | None = None,
        paused: bool | None = None,
        workspace_id: str = "0",
        workspace_url: str = "localhost",
    ) -> None:
        self.spec = spec
        self.assumptions = assumptions or Assumptions()
        self._out = Output(self.assumptions)
        ids = count(first_id)
        self._shared = Shared(spec, self.assumptions, self._out, ids, job_id, workspace_id, workspace_url)
        self._now = start
        self._until = until
        self._paused = spec.paused if paused is None else paused
        self._active: list[Run] = []
        self._queue: deque[Run] = deque()
        self._ended: deque[Run] = deque(maxlen=_KEPT)
        self._backoff = RunBackoff(self._shared)
        # Start of the next triggered run.
        self._next: datetime | None = None
        # Parameters of the run that replaces the current run of a continuous job.
        self._restart_parameters: Mapping[str, str] | None = None
        if not self._paused:
            self._next = self._scheduled(start) if spec.schedule else start if spec.continuous else None

    def feed(self, event: Input) -> Step:
        """Process an input; return actions and events.

        Everything due before the input is processed first. Raises ValueError for a time before the last one and for an
        unknown attempt, cluster, run or task; UnknownReferenceError for job parameters that are unknown or cannot be
        resolved.
        """
        if event.at < self._now:
            raise ValueError(f"{event} is earlier than the last input at {self._now}")
        now = self._now = event.at
        self._settle(now)
        match event:
            case RunNow():
                self._run_now(event)
            case AttemptEnded():
                run = self._run_of_attempt(event.attempt)
                if run and run.tasks and (found := run.tasks.attempt(event.attempt)):
                    run.tasks.ended(found, event.exit_code, event.message, event.values, now)
            case ClusterUp() | ClusterLost():
                self._cluster(event)
            case BacklogExceeded():
                if run := self._find_run(event.run):
                    run.backlog(event.task, event.metric, event.value, now)
            case Cancel():
                self._cancel(event)
            case Stop():
                self._next, self._restart_parameters, self._until = None, None, now
                for one in (*self._queue, *self._active):
                    one.close(Cause.USER, now)
            case Tick():
                pass
        self._settle(now)
        return self._out.take()

    def next_wakeup(self) -> datetime | None:
        """Return the time of the next Tick to feed; None if only other inputs can change the state."""
        due = [moment for run in self._active for moment in run.deadlines()]
        due += [run.created + self.assumptions.queue_limit for run in self._queue]
        if self._next and not self._past_end(self._next):
            due.append(self._next)
        return min(due, default=None)

    @property
    def finished(self) -> bool:
        """True if no run is active or queued, and no trigger will start one."""
        coming = self._next is not None and not self._past_end(self._next)
        return not (self._active or self._queue or coming)

    def snapshot(self) -> JobSnapshot:
        """Return the state of active, queued and recently ended runs."""
        runs = sorted((*self._ended, *self._active, *self._queue), key=lambda run: run.id)
        coming = self._next if self._next and not self._past_end(self._next) else None
        return JobSnapshot(tuple(run_snapshot(run) for run in runs), coming, self._backoff.failures)

    def _settle(self, now: datetime) -> None:
        """Process what is due until the state is stable: an ended run makes room for others."""
        for run in self._active:
            run.advance(now)
        while True:
            ended = [run for run in (*self._active, *self._queue) if run.end]
            self._active = [run for run in self._active if not run.end]
            self._queue = deque(run for run in self._queue if not run.end)
            for run in ended:
                self._on_run_end(run, now)
            started = self._skip_expired(now) or self._start_queued(now) or self._start_due(now)
            if not started and not ended:
                return

    def _on_run_end(self, run: Run, now: datetime) -> None:
        self._ended.append(run)
        if self.spec.continuous is None or run.start is None:
            return
        if self._restart_parameters is not None:
            given, self._restart_parameters = self._restart_parameters, None
            self._begin(Run(self._shared, TriggerType.CONTINUOUS_RESTART, now, now, given), now)
        elif self._paused:
            self._out.assume(now, "paused_by_hand")
        elif not self._past_end(now):
            lived = now - run.start
            self._next = now + self._backoff.pause(run.failed, run.result is Result.SUCCESS, lived, now)
            data: dict[str, Json] = {"next_at": iso(self._next), "failures": self._backoff.failures}
            self._out.emit(now, EventKind.NEXT_RUN, data)

    def _skip_expired(self, now: datetime) -> bool:
        late = [run for run in self._queue if run.created + self.assumptions.queue_limit <= now]
        for run in late:
            self._out.assume(now, "queue_limit")
            run.skip(now)
        return bool(late)

    def _start_queued(self, now: datetime) -> bool:
        if not self._queue or len(self._active) >= self._limit:
            return False
        self._begin(self._queue.popleft(), now)
        return True

    def _start_due(self, now: datetime) -> bool:
        """Start the run that is due by schedule, or the next run of a continuous job."""
        due = self._next
        if due is None or due > now or self._past_end(due):
            return False
        if self.spec.continuous:
            self._next = None
            self._trigger(TriggerType.CONTINUOUS, due, now, {})
            return True
        passed = 0
        while self._next is not None and self._next <= now and not self._past_end(self._next):
            due, passed = self._next, passed + 1
            self._next = self._scheduled(due + _LEAST_INTERVAL - timedelta(seconds=1))
        if passed > 1:
            self._out.assume(now, "missed_ticks")
        self._trigger(TriggerType.PERIODIC, due, now, {})
        return True

    def _run_now(self, event: RunNow) -> None:
        for name, text in event.parameters.items():
            if name not in self.spec.parameters:
                known = ", ".join(sorted(self.spec.parameters)) or "none"
                raise UnknownReferenceError(f"job {self.spec.key} has no parameter {name}: known are {known}")
            for reference in references(text):
                check(reference, None, frozenset())
        if self.spec.continuous is None or self._paused:
            self._trigger(TriggerType.ONE_TIME, event.at, event.at, event.parameters)
            return
        # "Run now" restarts a continuous job and resets its pauses.
        self._backoff.reset()
        self._next = None
        if self._active:
            self._restart_parameters = event.parameters
            self._active[0].close(Cause.USER, event.at)
        else:
            self._trigger(TriggerType.CONTINUOUS_RESTART, event.at, event.at, event.parameters)

    def _trigger(self, trigger: TriggerType, due: datetime, now: datetime, given: Mapping[str, str]) -> None:
        run = Run(self._shared, trigger, due, now, given)
        if len(self._active) < self._limit:
            self._begin(run, now)
        elif self.spec.queue and self._limit:
            run.queue(now)
            self._queue.append(run)
        else:
            run.skip(now)
            self._ended.append(run)

    def _begin(self, run: Run, now: datetime) -> None:
        self._active.append(run)
        run.begin(now)

    @property
    def _limit(self) -> int:
        """Return the maximum of concurrent runs: 1 for a continuous job; 0 skips every run (SDK)."""
        return 1 if self.spec.continuous else self.spec.max_concurrent_runs

    def _past_end(self, moment: datetime) -> bool:
        return self._until is not None and moment >= self._until

    def _scheduled(self, after: datetime) -> datetime | None:
        schedule = self.spec.schedule
        return schedule.quartz.next_after(after, schedule.zone) if schedule else None

    def _cancel(self, event: Cancel) -> None:
        run = self._find_run(event.run)
        if run is None:
            return
        if event.task is None:
            run.close(Cause.USER, event.at)
        elif event.task not in {task.key for task in self.spec.tasks}:
            raise ValueError(f"job {self.spec.key} has no task {event.task}")
        elif run.tasks:
            run.tasks.cancel(run.tasks.all[event.task], event.at)

    def _cluster(self, event: ClusterUp | ClusterLost) -> None:
        for run in (*self._active, *self._ended):
            if run.tasks and (cluster := run.tasks.clusters.get(event.cluster)):
                if isinstance(event, ClusterUp):
                    run.tasks.cluster_up(cluster, event.at)
                else:
                    run.tasks.cluster_lost(cluster, event.message, event.at)
                return
        raise ValueError(f"unknown cluster {event.cluster}")

    def _find_run(self, number: int) -> Run | None:
        """Return an active or queued run; None for an ended one. Raises ValueError for an unknown id."""
        for run in (*self._active, *self._queue):
            if run.id == number:
                return run
        if any(run.id == number for run in self._ended):
            return None
        raise ValueError(f"unknown run {number}")

    def _run_of_attempt(self, number: int) -> Run | None:
        for run in (*self._active, *self._ended):
            if run.tasks and run.tasks.attempt(number):
                return run
        raise ValueError(f"unknown attempt {number}")
