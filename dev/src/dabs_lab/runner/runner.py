"""Run a job: execute the actions of its state machine with real processes, and feed it their results."""

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
from dabs_lab.runner.run_state import KEPT, Attempt, Display, RunState

# Seconds between two refreshes of the display.
_REFRESH_SECONDS = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Runner:
    """Runner of one job. `run` returns when the state machine is finished and no process is left."""

    def __init__(self, machine: JobMachine, names: NameMapping, display: Display) -> None:
        self._machine, self._names, self._display = machine, names, display
        # SimpleQueue is reentrant: a signal handler may call put during get.
        self._inbox: queue.SimpleQueue[Callable[[datetime], Input | None]] = queue.SimpleQueue()
        self._state = RunState(machine.snapshot())
        self._last = datetime.now(UTC)
        self._stop_threads: list[threading.Thread] = []
        self._lost: set[str] = set()
        self._refreshed = 0.0

    def run(self, parameters: Mapping[str, str] | None, seconds: float | None = None) -> RunState:
        """Run until the job has ended, for at most `seconds`, or until a signal.

        parameters: start one run now with these job parameters; None: runs start by the job's trigger.
        """
        end = None if seconds is None else time.monotonic() + seconds
        with self._signals():
            try:
                self._feed(Tick(self._now()) if parameters is None else RunNow(self._now(), parameters))
                while not self._machine.finished:
                    if end is not None and time.monotonic() >= end:
                        end = None
                        self._stop()
                    else:
                        self._wait(end)
                    self._refresh()
            finally:
                # No process may stay after an error.
                self._end_all()
        self._state.snapshot = self._machine.snapshot()
        self._state.ended_at = self._state.ended_at or time.monotonic()
        return self._state

    def _wait(self, end: float | None) -> None:
        """Wait for an input, the next due time, or the next refresh."""
        wake = self._machine.next_wakeup()
        pauses = [_REFRESH_SECONDS]
        if wake is not None:
            pauses.append((wake - datetime.now(UTC)).total_seconds())
        if end is not None:
            pauses.append(end - time.monotonic())
        try:
            make_input = self._inbox.get(timeout=max(0.0, min(pauses)))
        except queue.Empty:
            if wake is not None and wake <= self._now():
                self._feed(Tick(self._now()))
            return
        if (event := make_input(self._now())) is not None:
            self._feed(event)

    def _feed(self, event: Input) -> None:
        step = self._machine.feed(event)
        self._state.snapshot = self._machine.snapshot()
        self._state.kept.extend(event for event in step.events if event.kind in KEPT)
        self._display.events(self._state, step.events)
        for action in step.actions:
            match action:
                case StartCluster():
                    self._start_cluster(action)
                case StopCluster():
                    self._stop_driver(action.cluster)
                case StartAttempt():
                    self._start_attempt(action)
                case CancelAttempt():
                    attempt = self._state.attempts[action.attempt]
                    # Without its driver, the process cannot stop its queries.
                    attempt.process.cancel(at_once=attempt.process.driver.name in self._lost)
                case RunEnded():
                    self._state.results[action.run] = action.result
                    self._state.failed |= action.failed
                case _:
                    # The display prints notifications from their events.
                    pass

    def _start_cluster(self, action: StartCluster) -> None:
        name, local = action.cluster, self._names.local
        environment = self._environment(action.spec)
        try:
            driver = Driver(
                name,
                local.clusters,
                action.spec.spark_conf,
                environment,
                self._folder(action.run) / f"cluster-{name}.log",
                local.warehouse,
                self._names.folder,
            )
        except MachineError as error:
            self._machine_failed(str(error))
            message = str(error)
            self._inbox.put(lambda at: ClusterLost(at, name, message))
            return
        self._state.drivers[name] = driver
        self._show_process("driver", action.run, {"cluster": name, "pid": driver.pid, "log": str(driver.log_file)})

        def ended() -> None:
            # If it was never up, `connect` reports the reason.
            if driver.up:
                self._inbox.put(lambda at: self._lose(driver, at, "its driver ended"))

        driver.watch(ended)

        def connect() -> None:
            try:
                driver.connect()
            except MachineError as error:
                reason = str(error)
                if not driver.stopping:
                    self._machine_failed(reason)
                self._inbox.put(lambda at: self._lose(driver, at, reason))
            else:
                self._inbox.put(lambda at: ClusterUp(at, name))
                if driver.process.returncode is not None:
                    ended()

        threading.Thread(target=connect, name=f"connect {name}", daemon=True).start()

    def _machine_failed(self, message: str) -> None:
        self._state.machine = self._state.machine or message

    def _lose(self, driver: Driver, at: datetime, message: str) -> Input | None:
        """Return ClusterLost once for a driver that ended without being stopped, else None."""
        if driver.stopping or driver.name in self._lost:
            return None
        self._lost.add(driver.name)
        code = driver.process.returncode
        how = f" by signal {-code}" if code is not None and code < 0 else ""
        return ClusterLost(at, driver.name, f"{message}{how} (process {driver.pid}); its log is {driver.log_file}")

    def _stop_driver(self, name: str) -> None:
        # A cluster may have failed before its process started.
        if driver := self._state.drivers.get(name):
            driver.stopping = True
            thread = threading.Thread(target=driver.stop, name=f"stop {name}")
            thread.start()
            self._stop_threads.append(thread)

    def _start_attempt(self, action: StartAttempt) -> None:
        driver = self._state.drivers[action.cluster]
        environment = self._environment(action.task.cluster)
        log = AttemptLog(self._folder(action.run) / f"{action.task.key}-{action.number}.log")

        def ended(number: int, code: int | None, message: str) -> None:
            def end(at: datetime) -> Input:
                # The state machine expects ClusterLost before AttemptEnded.
                if driver.process.returncode is not None and (lost := self._lose(driver, at, "its driver ended")):
                    self._feed(lost)
                attempt = self._state.attempts[number]
                attempt.log.poll()
                attempt.over = True
                return AttemptEnded(self._now(), number, code, message)

            self._inbox.put(end)

        def started(pid: int) -> None:
            data: dict[str, Json] = {"task": action.task.key, "attempt": action.attempt, "number": action.number}
            data |= {"cluster": action.cluster, "pid": pid, "log": str(log.file)}
            self._inbox.put(lambda _: self._show_process("process", action.run, data))

        process = AttemptProcess(
            action.attempt,
            driver,
            self._names.command(action.task, action.arguments),
            environment,
            self._names.folder,
            log,
            started,
            ended,
        )
        self._state.attempts[action.attempt] = Attempt(action.run, action.task.key, action.number, log, process)

    def _show_process(self, kind: str, run: int, data: Mapping[str, Json]) -> None:
        self._display.process(self._state, {"at": iso(self._now()), "event": kind, "run": run, **data})

    def _refresh(self) -> None:
        if time.monotonic() - self._refreshed >= _REFRESH_SECONDS:
            self._refreshed = time.monotonic()
            for attempt in self._state.attempts.values():
                if not attempt.over:
                    attempt.log.poll()
            self._display.refresh(self._state)

    def _stop(self) -> None:
        for attempt in self._state.attempts.values():
            attempt.log.poll()
        if self._state.at_stop is None:
            self._state.at_stop, self._state.ended_at = self._machine.snapshot(), time.monotonic()
        self._feed(Stop(self._now()))

    def _end_all(self) -> None:
        self._kill_all()
        for name, driver in self._state.drivers.items():
            if not driver.stopping:
                self._stop_driver(name)
        for thread in self._stop_threads:
            thread.join()
        for attempt in self._state.attempts.values():
            attempt.log.poll()

    def _environment(self, cluster: ClusterSpec) -> dict[str, str]:
        """Return the environment of driver and tasks; the cluster's variables override this machine's."""
        return environment_of_driver(self._names.environment(os.environ)) | dict(cluster.environment)

    def _folder(self, run: int) -> Path:
        return self._names.local.log / "runs" / str(run)

    def _now(self) -> datetime:
        # The system clock may be set back; the state machine needs ascending times.
        self._last = max(self._last, datetime.now(UTC))
        return self._last

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop the job in order at the first signal, and kill its processes at the second."""

        def handle(number: int, _: FrameType | None) -> None:
            again = bool(self._state.interrupted)
            self._state.interrupted = number
            self._inbox.put(lambda _: self._kill_all() if again else self._stop())

        before = {number: signal.signal(number, handle) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _kill_all(self) -> None:
        for attempt in self._state.attempts.values():
            attempt.process.cancel(at_once=True)
