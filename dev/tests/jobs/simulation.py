"""Simulated clock and processes for a JobMachine; records actions and events."""

import heapq
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dabs_lab.jobs.events import (
    Action,
    AttemptEnded,
    CancelAttempt,
    ClusterUp,
    Event,
    EventKind,
    Input,
    Notify,
    StartAttempt,
    StartCluster,
    StopCluster,
    Tick,
)
from dabs_lab.jobs.job_spec import ClusterSpec, JobSpec, NotificationKind, TaskSpec, WheelTask
from dabs_lab.jobs.snapshots import RunSnapshot, TaskSnapshot
from dabs_lab.jobs.state_machine import JobMachine

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
MAIN = ClusterSpec("main")
WORK = WheelTask("package", "entry")
# Seconds and exit code of an attempt's process; None if it never ends.
Outcome = tuple[float, int] | None
Outcomes = Callable[[StartAttempt], Outcome] | Mapping[str, list[Outcome]]


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def task(key: str, *after: str, cluster: ClusterSpec = MAIN, **more: Any) -> TaskSpec:
    return TaskSpec(key, more.pop("work", WORK), cluster, depends_on=after, **more)


def job(*tasks: TaskSpec, **more: Any) -> JobSpec:
    return JobSpec("job", "the job", tasks, **more)


class Simulation:
    """Simulation of a job. outcomes: for each task one per attempt (the last one repeats), or a function."""

    def __init__(
        self,
        spec: JobSpec,
        outcomes: Outcomes,
        *,
        boot: float = 0,
        stopping: float = 1,
        start: datetime = START,
        **more: Any,
    ) -> None:
        self.machine = JobMachine(spec, start, **more)
        self.now = start
        self.done: list[tuple[datetime, Action]] = []
        self.events: list[Event] = []
        self._outcomes, self._boot, self._stopping = outcomes, seconds(boot), seconds(stopping)
        self._pending: list[tuple[datetime, int, Input]] = []
        self._count = 0

    def feed(self, event: Input) -> None:
        assert event.at >= self.now
        self.now = event.at
        step = self.machine.feed(event)
        self.events += step.events
        for action in step.actions:
            self.done.append((self.now, action))
            self._do(action)
        # A driver without a start time is ready immediately.
        while self._pending and self._pending[0][0] <= self.now and isinstance(self._pending[0][2], ClusterUp):
            self.feed(heapq.heappop(self._pending)[2])

    def later(self, event: Input) -> None:
        self._count += 1
        heapq.heappush(self._pending, (event.at, self._count, event))

    def run(self, until: float | datetime | None = None) -> "Simulation":
        """Advance until nothing is due, or until a time or a number of seconds after the start."""
        end = START + seconds(until) if isinstance(until, int | float) else until
        for _ in range(20_000):
            wake = self.machine.next_wakeup()
            coming = self._pending[0][0] if self._pending else None
            due = min((moment for moment in (wake, coming) if moment is not None), default=None)
            if due is None or (end is not None and due > end):
                return self
            if coming is not None and coming <= due:
                self.feed(heapq.heappop(self._pending)[2])
            else:
                self.feed(Tick(max(due, self.now)))
        raise AssertionError("the simulation does not end")

    def _do(self, action: Action) -> None:
        match action:
            case StartCluster():
                self.later(ClusterUp(self.now + self._boot, action.cluster))
            case StopCluster():
                self._forget(lambda event: isinstance(event, ClusterUp) and event.cluster == action.cluster)
            case StartAttempt():
                if outcome := self._outcome(action):
                    self.later(AttemptEnded(self.now + seconds(outcome[0]), action.attempt, outcome[1]))
            case CancelAttempt():
                self._forget(lambda event: isinstance(event, AttemptEnded) and event.attempt == action.attempt)
                self.later(AttemptEnded(self.now + self._stopping, action.attempt, None))
            case _:
                pass

    def _outcome(self, action: StartAttempt) -> Outcome:
        if callable(self._outcomes):
            return self._outcomes(action)
        outcomes = self._outcomes[action.task.key]
        return outcomes[min(action.number, len(outcomes)) - 1]

    def _forget(self, which: Callable[[Input], bool]) -> None:
        self._pending = [one for one in self._pending if not which(one[2])]
        heapq.heapify(self._pending)

    @property
    def runs(self) -> tuple[RunSnapshot, ...]:
        return self.machine.snapshot().runs

    def task(self, key: str, run: int = 0) -> TaskSnapshot:
        return next(one for one in self.runs[run].tasks if one.key == key)

    def starts(self, key: str | None = None) -> list[float]:
        """Return the starts of attempts in seconds after START."""
        return [
            (at - START).total_seconds()
            for at, action in self.done
            if isinstance(action, StartAttempt) and key in (None, action.task.key)
        ]

    def notifications(self, kind: NotificationKind = NotificationKind.FAILURE) -> list[tuple[float, str | None]]:
        """Return seconds after START and task (None: the run) of each notification."""
        return [
            ((at - START).total_seconds(), action.task)
            for at, action in self.done
            if isinstance(action, Notify) and action.kind is kind
        ]

    def assumed(self) -> set[str]:
        return {str(event.data["name"]) for event in self.events if event.kind is EventKind.ASSUMPTION}


def words(snapshot: TaskSnapshot | RunSnapshot) -> str:
    """Return the result, or the state if it has not ended."""
    return snapshot.result.value if snapshot.result else snapshot.state.value


def results(simulation: Simulation, run: int = 0) -> dict[str, str]:
    return {one.key: words(one) for one in simulation.runs[run].tasks}
