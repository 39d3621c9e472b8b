"""The scene of a cell, for the script of an incident: jobs, their processes, and marks on the timeline."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from dabs_lab.errors import DabsLabError
from dabs_lab.lab.declarations import Shape, Stage
from dabs_lab.lab.job_process import JobProcess
from dabs_lab.lab.results import Mark, MarkKind, State
from dabs_lab.lab.watching import StreamWatch

# Seconds between two looks at a condition.
_EVERY = 0.2
T = TypeVar("T")


class NotReachedError(DabsLabError):
    """A condition of the lab was not reached in time: the cell shows nothing."""


class Scene:
    """A cell while it runs. Use it as a context: at its end, no process of the jobs is left.

    seed: of the moments of faults. hit: the streams that the fault aims at; others show the collateral damage.
    """

    def __init__(self, stage: Stage, shape: Shape, say: Callable[[str], None]) -> None:
        self.stage, self.shape = stage, shape
        self.random = random.Random(stage.seed)
        self.jobs: list[JobProcess] = []
        self.watch = StreamWatch(lambda: self.jobs, stage.streams, shape.bounded)
        self.started = time.monotonic()
        self.marks: list[Mark] = []
        self.fault_at: float | None = None
        self.hit: tuple[str, ...] = ()
        self.person = ""
        # A person had to start the job again, which no incident declares as its repair.
        self.restarted = False
        # Promises of this incident alone that did not hold, in words.
        self.broken: list[str] = []
        self._say = say
        self._pause = threading.Event()

    @property
    def now(self) -> float:
        """Seconds since the cell began."""
        return time.monotonic() - self.started

    def start(self) -> None:
        """Start the jobs of the shape."""
        for key in self.shape.jobs:
            stage = self.stage
            self.jobs.append(JobProcess(key, stage.words(key), stage.folder, stage.environment))

    def stop(self) -> None:
        """Stop the jobs that run."""
        for job in self.jobs:
            if job.alive:
                job.stop()

    def restart(self) -> None:
        """Stop the jobs and start them again, as a person would; marks it as a person's work."""
        self.restarted = True
        self.repaired("the job is started again", by_person=True)
        self.stop()
        self.start()

    def land(self) -> int:
        """Let the next input arrive."""
        return self.stage.land()

    def fault(self, what: str, *hit: str) -> None:
        """Mark the moment of the fault; call it just before the fault. hit: streams that it aims at."""
        self.fault_at = time.monotonic()
        self.hit = hit
        self.mark(MarkKind.FAULT, what)

    def repaired(self, what: str, *, by_person: bool = False) -> None:
        """Mark the moment at which the cause is gone. by_person: it does not go away by itself."""
        if by_person:
            self.person = f"{self.person}; {what}" if self.person else what
        self.mark(MarkKind.REPAIR, what)

    def mark(self, kind: MarkKind, label: str) -> None:
        """Add a mark to the timeline."""
        self._say(label)
        self.marks.append(Mark(at=self.now, kind=kind, label=label))

    def reached(self, condition: Callable[[], T], seconds: float) -> T:
        """Wait until a condition is true; return its last value, which is false if it is not within these seconds."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > deadline:
                break
            self._pause.wait(_EVERY)
        return found

    def quiet(self, seconds: float) -> bool:
        """Return True if no stream and no job has changed for these seconds, and no stream works on a batch."""
        streams = [place.name for place in self.stage.streams]
        working = [name for name in streams if self.watch.state(name) == State.WORKING]
        if any(self.watch.open_batch(name) is not None for name in working):
            return False
        moments = [change.at for change in list(self.watch.changes)]
        moments += [at for name in streams for at, _ in self.watch.commits[name][-1:]]
        moments += [one.at for job in self.jobs for one in job.events[-1:]]
        return time.monotonic() - max(moments, default=self.started) > seconds

    def wait(self, seconds: float) -> None:
        """Let time pass, for a fault that lasts or comes at a given moment; not to wait for a state."""
        self._pause.wait(seconds)

    def until(self, condition: Callable[[], T], what: str, seconds: float = 120) -> T:
        """Wait until a condition is true; return its value.

        Raises NotReachedError, naming `what`, if it is not within these seconds.
        """
        self._say(f"waits for {what}")
        if found := self.reached(condition, seconds):
            return found
        raise NotReachedError(f"{what}: not within {seconds:.0f} s")

    def until_batch(self, *streams: str) -> None:
        """Wait until one of the streams is within a batch."""
        self.until(
            lambda: any(self.watch.open_batch(name) is not None for name in streams),
            f"a batch of {' or '.join(streams)}",
        )

    def process_of(self, stream: str) -> int:
        """Wait for the Python process that runs a stream; return its id."""
        return self._running(stream, "process")[0]

    def driver_of(self, stream: str) -> int:
        """Wait for the driver that runs a stream; return its process id."""
        return self._running(stream, "driver")[1]

    def _running(self, stream: str, what: str) -> tuple[int, int]:
        found = self.until(lambda: self.watch.process_of(stream), f"a {what} that runs {stream}")
        assert found is not None
        return found

    def failed_attempts(self) -> Sequence[object]:
        """Return the attempts of all jobs that have failed so far."""
        return [
            one
            for job in self.jobs
            for one in job.find("attempt", state="TERMINATED")
            if one.data.get("result") not in ("SUCCESS", "CANCELED")
        ]

    def __enter__(self) -> "Scene":
        self.watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.watch.close()
        for job in self.jobs:
            job.stop()
