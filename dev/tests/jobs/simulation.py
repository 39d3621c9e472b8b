"""A job with a clock and processes of the test's own: it does what the machine says, and keeps what happened when."""

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
from dabs_lab.jobs.job_spec import ClusterSpec, JobSpec, NoticeKind, TaskSpec, WheelTask
from dabs_lab.jobs.snapshots import RunView, TaskView
from dabs_lab.jobs.state_machine import JobMachine

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
MAIN = ClusterSpec("main")
WORK = WheelTask("package", "entry")
# How long the process of an attempt lives, and what it ends with; None for one without an end.
Outcome = tuple[float, int] | None
Outcomes = Callable[[StartAttempt], Outcome] | Mapping[str, list[Outcome]]


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def task(key: str, *after: str, cluster: ClusterSpec = MAIN, **more: Any) -> TaskSpec:
    return TaskSpec(key, more.pop("work", WORK), cluster, depends_on=after, **more)


def job(*tasks: TaskSpec, **more: Any) -> JobSpec:
    return JobSpec("job", "the job", tasks, **more)


class Simulation:
    """`outcomes`: by task, one for each attempt (the last one for all that follow), or a function."""

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
        self._coming: list[tuple[datetime, int, Input]] = []
        self._count = 0

    def feed(self, event: Input) -> None:
        assert event.at >= self.now
        self.now = event.at
        step = self.machine.feed(event)
        self.events += step.events
        for action in step.actions:
            self.done.append((self.now, action))
            self._do(action)
        # A driver that starts in no time answers at once.
        while self._coming and self._coming[0][0] <= self.now and isinstance(self._coming[0][2], ClusterUp):
            self.feed(heapq.heappop(self._coming)[2])

    def later(self, event: Input) -> None:
        self._count += 1
        heapq.heappush(self._coming, (event.at, self._count, event))

    def run(self, until: float | datetime | None = None) -> "Simulation":
        """Let time go on until nothing more comes, or until so many seconds after the start."""
        end = START + seconds(until) if isinstance(until, int | float) else until
        for _ in range(20_000):
            wake = self.machine.next_wakeup()
            coming = self._coming[0][0] if self._coming else None
            due = min((moment for moment in (wake, coming) if moment is not None), default=None)
            if due is None or (end is not None and due > end):
                return self
            if coming is not None and coming <= due:
                self.feed(heapq.heappop(self._coming)[2])
            else:
                self.feed(Tick(max(due, self.now)))
        raise AssertionError("it does not come to an end")

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
        wanted = self._outcomes[action.task.key]
        return wanted[min(action.number, len(wanted)) - 1]

    def _forget(self, which: Callable[[Input], bool]) -> None:
        self._coming = [one for one in self._coming if not which(one[2])]
        heapq.heapify(self._coming)

    # What tests ask.

    @property
    def runs(self) -> tuple[RunView, ...]:
        return self.machine.snapshot().runs

    def task(self, key: str, run: int = 0) -> TaskView:
        return next(one for one in self.runs[run].tasks if one.key == key)

    def starts(self, key: str | None = None) -> list[float]:
        """When attempts were started, in seconds after the start."""
        return [
            (at - START).total_seconds()
            for at, action in self.done
            if isinstance(action, StartAttempt) and key in (None, action.task.key)
        ]

    def notices(self, kind: NoticeKind = NoticeKind.FAILURE) -> list[tuple[float, str | None]]:
        """When and about which task (None: the run) somebody was told."""
        return [
            ((at - START).total_seconds(), action.task)
            for at, action in self.done
            if isinstance(action, Notify) and action.kind is kind
        ]

    def assumed(self) -> set[str]:
        return {str(event.data["name"]) for event in self.events if event.kind is EventKind.ASSUMPTION}


def words(view: TaskView | RunView) -> str:
    """`SUCCESS`, or the state of what has not ended."""
    return view.result.value if view.result else view.state.value


def results(simulation: Simulation, run: int = 0) -> dict[str, str]:
    return {one.key: words(one) for one in simulation.runs[run].tasks}
