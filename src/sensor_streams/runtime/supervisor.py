"""Starts a task's streams in order, watches them all, and ends loudly when one of them ends that should not."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import ClassVar

from sensor_streams.errors import INTERRUPTED, ModelError, NoModelError, StreamFailedError, StreamFailure
from sensor_streams.incremental.stream import ModelKind
from sensor_streams.runtime.error_causes import describe
from sensor_streams.runtime.lease import Lease
from sensor_streams.runtime.progress import ProgressTable
from sensor_streams.runtime.worker import Worker
from sensor_streams.settings import Settings

log = logging.getLogger("sensor_streams.runtime")

# How often the queries are looked at: a failure must be reported within two seconds.
POLL_SECONDS = 0.25
# What writing the last figures may take: after a failure, and at a good end.
_LAST_FIGURES, _ALL_FIGURES = 10.0, 120.0


class RunInterruptedError(StreamFailedError):
    """The run was asked to stop before its end."""

    exit_code: ClassVar[int] = INTERRUPTED


class _Asked:
    """Whether there is a champion of one kind, asked in a thread: the watching goes on while a registry is slow."""

    def __init__(self, kind: ModelKind, ready: Callable[[ModelKind], bool]) -> None:
        self.at = time.monotonic()
        self.found: bool | None = None
        self.error: ModelError | None = None
        # Why there is none that can score, where that is more than that there is none.
        self.why: str | None = None
        self._thread = threading.Thread(target=self._ask, args=(kind, ready), name=f"champion {kind}", daemon=True)
        self._thread.start()

    @property
    def answered(self) -> bool:
        return self.found is not None or self.error is not None

    def _ask(self, kind: ModelKind, ready: Callable[[ModelKind], bool]) -> None:
        try:
            self.found = ready(kind)
        except NoModelError as error:
            self.why, self.found = str(error), False
        except ModelError as error:
            self.error = error
        except Exception as error:
            self.error = ModelError(f"the model registry cannot be asked: {error}")


class Supervisor:
    """Watches the workers of one task.

    Waiting for any query's end is not enough: that returns without an error when a query ends cleanly, and it
    remembers one error of several. So every query is looked at, each time.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        settings: Settings,
        lease: Lease,
        progress: ProgressTable,
        closing: threading.Event,
        model_ready: Callable[[ModelKind], bool],
    ) -> None:
        self.workers = list(workers)
        self.settings = settings
        self.lease = lease
        self.progress = progress
        self.closing = closing
        self.model_ready = model_ready
        self.interrupted = False
        self._asked: dict[ModelKind, _Asked] = {}

    def run(self) -> None:
        """Run until all streams are done (available-now) or until one fails or a signal comes.

        Raises StreamFailedError with all failures, the last line naming stream, batch, error class and cause;
        RunInterruptedError when a signal ended an unfinished run; LeaseLostError when another attempt took over.
        """
        tick = threading.Event()
        with self._signals(tick):
            self.progress.start()
            try:
                while not self._finished():
                    self._start_what_can()
                    self._observe()
                    if self._failures() or self.interrupted or self.lease.lost:
                        break
                    tick.wait(POLL_SECONDS)
            finally:
                self._close()
        self._report()

    def _finished(self) -> bool:
        return all(worker.state in ("DONE", "WAITING_FOR_MODEL") for worker in self.workers) and (
            self.settings.bounded or not any(worker.state == "WAITING_FOR_MODEL" for worker in self.workers)
        )

    def _start_what_can(self) -> None:
        for worker in self.workers:
            if worker.state not in ("WAITING", "WAITING_FOR_MODEL") or not self._sources_drained(worker):
                continue
            if not self.model_there(worker) or self.interrupted:
                continue
            try:
                worker.start()
                log.info("stream %s started", worker.stream.name)
            except Exception as error:
                self._failed(worker, error)
            # Starting one takes a second: those that run are looked at in between.
            self._observe()
            if self._failures():
                return

    def _failed(self, worker: Worker, error: Exception) -> None:
        worker.state = "FAILED"
        worker.failure = describe(worker.stream.name, None, error)

    def _sources_drained(self, worker: Worker) -> bool:
        """Available-now ends when its input is drained, so a stream starts when the ones it reads from are done."""
        if not self.settings.bounded:
            return True
        over = ("DONE", "WAITING_FOR_MODEL")
        before = [w for w in self.workers if w.stream.name in worker.stream.sources]
        return all(w.state in over for w in before)

    def model_there(self, worker: Worker) -> bool:
        """True when the stream's model is there; asked again at an interval, in a run that has no end."""
        kind = worker.stream.model
        if kind is None:
            return True
        asked = self._asked.get(kind)
        waits = worker.state == "WAITING_FOR_MODEL"
        over = asked is not None and time.monotonic() - asked.at > self.settings.model_interval.total_seconds()
        if asked is None or (asked.answered and waits and over and not self.settings.bounded):
            asked = self._asked[kind] = _Asked(kind, self.model_ready)
        if not asked.answered:
            return False
        if asked.found:
            return True
        if asked.error is not None and self.settings.bounded:
            self._failed(worker, asked.error)
            return False
        if not waits:
            worker.state = "WAITING_FOR_MODEL"
            worker.waits = str(asked.error or asked.why or f"no {kind} model has the alias champion yet")
            self._waits(worker)
        return False

    def _waits(self, worker: Worker) -> None:
        log.warning("stream %s: WAITING_FOR_MODEL: %s; its input is kept for later", worker.stream.name, worker.waits)

    def _observe(self) -> None:
        for worker in self.workers:
            before = worker.state
            worker.observe()
            if worker.state == "WAITING_FOR_MODEL" != before and worker.stream.model is not None:
                # No version could score its batch. Another champion may, and is looked for after the interval.
                asked = self._asked.get(worker.stream.model)
                if asked is not None:
                    asked.found, asked.at = False, time.monotonic()
                self._waits(worker)

    def _failures(self) -> list[StreamFailure]:
        """All failures, the first in time first."""
        found = [worker.failure for worker in self.workers if worker.failure is not None and worker.state == "FAILED"]
        return sorted(found, key=lambda failure: failure.at)

    def _close(self) -> None:
        """Stop what still runs, upstream first, within the deadline; the batch in hand may finish in it."""
        for failure in self._failures():
            log.error("%s", failure)
        self.closing.set()
        deadline = time.monotonic() + self.settings.stop_deadline.total_seconds()
        running = [worker for worker in self.workers if worker.active]
        for worker in running:
            worker.asked_to_stop = time.monotonic()
            worker.state = "STOPPING" if worker.state == "RUNNING" else worker.state
        if self.interrupted:
            waiter = threading.Event()
            while any(worker.active and worker.in_batch for worker in running) and time.monotonic() < deadline:
                waiter.wait(POLL_SECONDS / 2)
        for worker in running:
            if not worker.stop(deadline - time.monotonic()):
                log.warning("stream %s did not stop in time and is abandoned", worker.stream.name)
        self._observe()
        self.progress.close(_ALL_FIGURES if self._finished() else _LAST_FIGURES)

    def _report(self) -> None:
        failures = self._failures()
        if failures:
            lines = [str(failure) for failure in failures]
            head = f"{len(lines)} of {len(self.workers)} streams failed:" if len(lines) > 1 else "a stream failed:"
            # The one that failed first comes last: the last line of a log is the one that is read.
            ordered = lines[::-1]
            raise StreamFailedError("\n".join([head, *ordered]), tuple(failures))
        self.lease.check()
        if self.interrupted:
            raise RunInterruptedError("stopped by a signal: the batches in hand were finished or will be repeated")

    @contextmanager
    def _signals(self, tick: threading.Event) -> Iterator[None]:
        """SIGTERM asks for an orderly end; a second one ends the process at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, _: FrameType | None) -> None:
            if self.interrupted:
                os._exit(128 + number)
            self.interrupted = True
            log.warning("signal %d: stopping within %.0f s", number, self.settings.stop_deadline.total_seconds())
            tick.set()

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
