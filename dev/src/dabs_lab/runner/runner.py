"""Runs a job on real processes by a real clock: it does what the job's machine says, and tells it what happened."""

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from dabs_lab.errors import MachineError
from dabs_lab.jobs import JobMachine
from dabs_lab.jobs.events import (
    AttemptEnded,
    CancelAttempt,
    ClusterLost,
    ClusterUp,
    Input,
    Json,
    RunEnded,
    RunNow,
    StartAttempt,
    StartCluster,
    Stop,
    StopCluster,
    Tick,
    iso,
)
from dabs_lab.jobs.job_spec import ClusterSpec
from dabs_lab.runner.attempts import AttemptLog, AttemptProcess
from dabs_lab.runner.driver import Driver, environment_of_driver
from dabs_lab.runner.name_mapping import NameMapping
from dabs_lab.runner.run_state import KEPT, Attempt, RunState, Shown

# How often one is shown something new.
_SHOWN_EVERY = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Runner:
    """`run` comes back when the machine is finished and no process is left."""

    def __init__(self, machine: JobMachine, places: NameMapping, shown: Shown) -> None:
        self._machine, self._places, self._shown = machine, places, shown
        # Simple: a signal's handler may put something while the main thread is within get.
        self._inbox: queue.SimpleQueue[Callable[[datetime], Input | None]] = queue.SimpleQueue()
        self._happened = RunState(machine.snapshot())
        self._last = datetime.now(UTC)
        self._ending: list[threading.Thread] = []
        self._lost: set[str] = set()
        self._looked = 0.0

    def run(self, ask: Mapping[str, str] | None, seconds: float | None = None) -> RunState:
        """Run until the job has ended, for so many seconds at most, or until a signal comes.

        `ask`: ask for a run at once, with these job parameters; None: runs start by the job's own trigger.
        """
        end = None if seconds is None else time.monotonic() + seconds
        with self._signals():
            try:
                self._feed(Tick(self._now()) if ask is None else RunNow(self._now(), ask))
                while not self._machine.finished:
                    if end is not None and time.monotonic() >= end:
                        end = None
                        self._stop()
                    else:
                        self._wait(end)
                    self._look()
            finally:
                # Whatever went wrong above, nothing stays behind.
                self._end_all()
        self._happened.view = self._machine.snapshot()
        self._happened.ended_at = self._happened.ended_at or time.monotonic()
        return self._happened

    def _wait(self, end: float | None) -> None:
        """Until something happens, something is due, or one wants to see something new."""
        wake = self._machine.next_wakeup()
        pauses = [_SHOWN_EVERY]
        if wake is not None:
            pauses.append((wake - datetime.now(UTC)).total_seconds())
        if end is not None:
            pauses.append(end - time.monotonic())
        try:
            told = self._inbox.get(timeout=max(0.0, min(pauses)))
        except queue.Empty:
            if wake is not None and wake <= self._now():
                self._feed(Tick(self._now()))
            return
        if (event := told(self._now())) is not None:
            self._feed(event)

    def _feed(self, event: Input) -> None:
        step = self._machine.feed(event)
        self._happened.view = self._machine.snapshot()
        self._happened.kept.extend(event for event in step.events if event.kind in KEPT)
        self._shown.events(self._happened, step.events)
        for action in step.actions:
            match action:
                case StartCluster():
                    self._start_cluster(action)
                case StopCluster():
                    self._stop_driver(action.cluster)
                case StartAttempt():
                    self._start_attempt(action)
                case CancelAttempt():
                    attempt = self._happened.attempts[action.attempt]
                    # With its driver gone it can do nothing in order any more.
                    attempt.process.cancel(at_once=attempt.process.driver.name in self._lost)
                case RunEnded():
                    self._happened.results[action.run] = action.result
                    self._happened.failed |= action.failed
                case _:
                    # Notifications: their events say it.
                    pass

    def _start_cluster(self, action: StartCluster) -> None:
        name, local = action.cluster, self._places.local
        environment = self._environment(action.spec)
        try:
            driver = Driver(
                name,
                local.clusters,
                action.spec.spark_conf,
                environment,
                self._folder(action.run) / f"cluster-{name}.log",
                local.warehouse,
                self._places.folder,
            )
        except MachineError as error:
            self._machine_failed(str(error))
            said = str(error)
            self._inbox.put(lambda at: ClusterLost(at, name, said))
            return
        self._happened.drivers[name] = driver
        self._told("driver", action.run, {"cluster": name, "pid": driver.pid, "log": str(driver.log_file)})

        def ended() -> None:
            # Of one that never answered, whoever waits for its answer says why.
            if driver.up:
                self._inbox.put(lambda at: self._lose(driver, at, "its driver ended"))

        driver.watch(ended)

        def connect() -> None:
            try:
                driver.connect()
            except MachineError as error:
                said = str(error)
                if not driver.stopping:
                    self._machine_failed(said)
                self._inbox.put(lambda at: self._lose(driver, at, said))
            else:
                self._inbox.put(lambda at: ClusterUp(at, name))
                if driver.process.returncode is not None:
                    ended()

        threading.Thread(target=connect, name=f"connect {name}", daemon=True).start()

    def _machine_failed(self, message: str) -> None:
        self._happened.machine = self._happened.machine or message

    def _lose(self, driver: Driver, at: datetime, message: str) -> Input | None:
        """That a driver is gone, once, and only of one that was not asked to go."""
        if driver.stopping or driver.name in self._lost:
            return None
        self._lost.add(driver.name)
        code = driver.process.returncode
        how = f" by signal {-code}" if code is not None and code < 0 else ""
        return ClusterLost(at, driver.name, f"{message}{how} (process {driver.pid}); its log is {driver.log_file}")

    def _stop_driver(self, name: str) -> None:
        # A cluster may have failed before there was a process.
        if driver := self._happened.drivers.get(name):
            driver.stopping = True
            thread = threading.Thread(target=driver.stop, name=f"stop {name}")
            thread.start()
            self._ending.append(thread)

    def _start_attempt(self, action: StartAttempt) -> None:
        driver = self._happened.drivers[action.cluster]
        environment = self._environment(action.task.cluster)
        log = AttemptLog(self._folder(action.run) / f"{action.task.key}-{action.number}.log")

        def ended(number: int, code: int | None, message: str) -> None:
            def told(at: datetime) -> Input:
                # A driver's death comes before the ends that it causes.
                if driver.process.returncode is not None and (lost := self._lose(driver, at, "its driver ended")):
                    self._feed(lost)
                ended_one = self._happened.attempts[number]
                ended_one.log.poll()
                ended_one.over = True
                return AttemptEnded(self._now(), number, code, message)

            self._inbox.put(told)

        def started(pid: int) -> None:
            said: dict[str, Json] = {"task": action.task.key, "attempt": action.attempt, "number": action.number}
            said |= {"cluster": action.cluster, "pid": pid, "log": str(log.file)}
            self._inbox.put(lambda _: self._told("process", action.run, said))

        process = AttemptProcess(
            action.attempt,
            driver,
            self._places.command(action.task, action.arguments),
            environment,
            self._places.folder,
            log,
            started,
            ended,
        )
        self._happened.attempts[action.attempt] = Attempt(action.run, action.task.key, action.number, log, process)

    def _told(self, kind: str, run: int, data: Mapping[str, Json]) -> None:
        self._shown.process(self._happened, {"at": iso(self._now()), "event": kind, "run": run, **data})

    def _look(self) -> None:
        if time.monotonic() - self._looked >= _SHOWN_EVERY:
            self._looked = time.monotonic()
            for attempt in self._happened.attempts.values():
                if not attempt.over:
                    attempt.log.poll()
            self._shown.look(self._happened)

    def _stop(self) -> None:
        for attempt in self._happened.attempts.values():
            attempt.log.poll()
        if self._happened.at_stop is None:
            self._happened.at_stop, self._happened.ended_at = self._machine.snapshot(), time.monotonic()
        self._feed(Stop(self._now()))

    def _end_all(self) -> None:
        self._kill_all()
        for name, driver in self._happened.drivers.items():
            if not driver.stopping:
                self._stop_driver(name)
        for thread in self._ending:
            thread.join()
        for attempt in self._happened.attempts.values():
            attempt.log.poll()

    def _environment(self, cluster: ClusterSpec) -> dict[str, str]:
        """Of driver and tasks: what the cluster sets, before what this machine has."""
        return environment_of_driver(self._places.environment(os.environ)) | dict(cluster.environment)

    def _folder(self, run: int) -> Path:
        return self._places.local.log / "runs" / str(run)

    def _now(self) -> datetime:
        # A clock that is put back must not lead before what has happened.
        self._last = max(self._last, datetime.now(UTC))
        return self._last

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first signal ends the job in order, a second one at once."""

        def asked(number: int, _: FrameType | None) -> None:
            again = bool(self._happened.interrupted)
            self._happened.interrupted = number
            self._inbox.put(lambda _: self._kill_all() if again else self._stop())

        before = {number: signal.signal(number, asked) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _kill_all(self) -> None:
        for attempt in self._happened.attempts.values():
            attempt.process.cancel(at_once=True)
