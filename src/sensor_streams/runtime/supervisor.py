"""Starts a task's streams in order, watches them, and stops all with an error when one fails."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import ClassVar

from sensor_streams.checkpoint.lease import Lease
from sensor_streams.error_causes import describe
from sensor_streams.errors import INTERRUPTED, ModelError, NoModelError, StreamFailedError, StreamFailure
from sensor_streams.incremental.stream import ModelKind
from sensor_streams.runtime.process_watch import ProcessWatch
from sensor_streams.runtime.progress import ProgressTable
from sensor_streams.runtime.worker import STALLED, Worker
from sensor_streams.settings import Settings

log = logging.getLogger("sensor_streams.runtime")

# A failure must be reported within two seconds.
POLL_SECONDS = 0.25
# Longest wait for an answer of the driver, and what it has at least: a busy one needs seconds for a call.
_SILENT_DRIVER, _BUSY_DRIVER = 300.0, 60.0
# Seconds that healthy streams get to stop after a failure: until then the job counts as running. A batch that is cut
# off is repeated by the next attempt, as after kill -9.
_AFTER_FAILURE = 1.0
# Seconds for writing the last figures: after a failure, after a stall, and after success.
_LAST_FIGURES, _FIGURES_OF_A_STALL, _ALL_FIGURES = 10.0, 0.5, 120.0


class RunInterruptedError(StreamFailedError):
    """A signal stopped the run before its end."""

    exit_code: ClassVar[int] = INTERRUPTED


class _ModelQuery:
    """Query for a champion, in a thread: streams are watched while the registry is slow."""

    def __init__(self, kind: ModelKind, ready: Callable[[ModelKind], bool]) -> None:
        self.at = time.monotonic()
        self.found: bool | None = None
        self.error: ModelError | None = None
        # Reason why the champion cannot score.
        self.reason: str | None = None
        self._thread = threading.Thread(target=self._query, args=(kind, ready), name=f"champion {kind}", daemon=True)
        self._thread.start()

    @property
    def answered(self) -> bool:
        return self.found is not None or self.error is not None

    def _query(self, kind: ModelKind, ready: Callable[[ModelKind], bool]) -> None:
        try:
            self.found = ready(kind)
        except NoModelError as error:
            self.reason, self.found = str(error), False
        except ModelError as error:
            self.error = error
        except Exception as error:
            self.error = ModelError(f"the model registry does not answer: {error}")


class Supervisor:
    """Watches the workers of one task, by polling every query.

    Spark's `awaitAnyTermination` does not report a query that ends without an error, and reports only one error.
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
        self._model_queries: dict[ModelKind, _ModelQuery] = {}
        longest_call = max(_BUSY_DRIVER, min(settings.stall_after.total_seconds(), _SILENT_DRIVER))
        self._watch = ProcessWatch(longest_call, self._trouble)

    def run(self) -> None:
        """Run until all streams are done (available-now) or until one fails or a signal comes.

        Raises StreamFailedError with all failures, the last line naming stream, batch, error class and cause;
        RunInterruptedError when a signal ended an unfinished run; LeaseLostError when another attempt took over.
        Ends the process when the driver does not answer, or when there is no more memory.
        """
        tick = threading.Event()
        with self._signals(tick), self._watch:
            self.progress.start()
            try:
                while not self._finished():
                    self._start_ready()
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

    def _start_ready(self) -> None:
        for worker in self.workers:
            if worker.state not in ("WAITING", "WAITING_FOR_MODEL") or not self._sources_drained(worker):
                continue
            if not self.has_model(worker) or self.interrupted:
                continue
            try:
                worker.start()
                log.info("stream %s started", worker.stream.name)
            except Exception as error:
                self._failed(worker, error)
            # A start takes a second, so observe the running streams after each one.
            self._observe()
            if self._failures():
                return

    def _failed(self, worker: Worker, error: Exception) -> None:
        worker.state = "FAILED"
        worker.failure = describe(worker.stream.name, None, error)

    def _sources_drained(self, worker: Worker) -> bool:
        """True when the worker may start: an available-now query starts after the streams that it reads from."""
        if not self.settings.bounded:
            return True
        done = ("DONE", "WAITING_FOR_MODEL")
        return all(w.state in done for w in self.workers if w.stream.name in worker.stream.sources)

    def has_model(self, worker: Worker) -> bool:
        """True when the stream's model is available; a continuous run queries again at an interval."""
        kind = worker.stream.model
        if kind is None:
            return True
        query = self._model_queries.get(kind)
        waits = worker.state == "WAITING_FOR_MODEL"
        old = query is not None and time.monotonic() - query.at > self.settings.model_interval.total_seconds()
        if query is None or (query.answered and waits and old and not self.settings.bounded):
            query = self._model_queries[kind] = _ModelQuery(kind, self.model_ready)
        if not query.answered:
            return False
        if query.found:
            return True
        if query.error is not None and self.settings.bounded:
            self._failed(worker, query.error)
            return False
        if not waits:
            worker.state = "WAITING_FOR_MODEL"
            worker.waits = str(query.error or query.reason or f"no {kind} model has the alias champion yet")
            self._log_waiting(worker)
        return False

    def _log_waiting(self, worker: Worker) -> None:
        log.warning("stream %s: WAITING_FOR_MODEL: %s; its input is kept for later", worker.stream.name, worker.waits)

    def _observe(self) -> None:
        for worker in self.workers:
            before = worker.state
            with self._watch.call():
                worker.observe()
            if worker.state == "WAITING_FOR_MODEL" != before and worker.stream.model is not None:
                # No version could score its batch: the registry is queried again after the interval.
                query = self._model_queries.get(worker.stream.model)
                if query is not None:
                    query.found, query.at = False, time.monotonic()
                self._log_waiting(worker)

    def _trouble(self) -> str:
        """Return the streams whose batch failed or takes too long, without a call of the driver; empty without any."""
        running = [one for one in self.workers if one.state == "RUNNING"]
        found = [str(one.failure) for one in running if one.failure is not None]
        found += [f"stream {one.stream.name} is stuck in a batch" for one in running if one.in_batch and one.overdue]
        return "; ".join(found)

    def _active(self, worker: Worker) -> bool:
        with self._watch.call():
            return worker.active

    def _failures(self) -> list[StreamFailure]:
        """Return all failures, the earliest first."""
        found = [worker.failure for worker in self.workers if worker.failure is not None and worker.state == "FAILED"]
        return sorted(found, key=lambda failure: failure.at)

    def _close(self) -> None:
        """Stop the running streams within the deadline, all at once; after a signal, current batches may finish."""
        failures = self._failures()
        for failure in failures:
            log.error("%s", failure)
        self.closing.set()
        seconds = self.settings.stop_deadline.total_seconds()
        deadline = time.monotonic() + (min(seconds, _AFTER_FAILURE) if failures else seconds)
        running = [worker for worker in self.workers if self._active(worker)]
        for worker in running:
            worker.stop_requested_at = time.monotonic()
            worker.state = "STOPPING" if worker.state == "RUNNING" else worker.state
        if self.interrupted:
            waiter = threading.Event()
            while any(w.in_batch and self._active(w) for w in running) and time.monotonic() < deadline:
                waiter.wait(POLL_SECONDS / 2)
        # One after the other they would take seconds, in which the job still counts as running.
        for worker in running:
            worker.begin_stop()
        for worker in running:
            if not worker.stopped(deadline - time.monotonic()):
                log.warning("stream %s did not stop in time and is abandoned", worker.stream.name)
        self._observe()
        if any(failure.error_class == STALLED for failure in failures):
            # What hangs may hold all cores of the driver, so that no figures can be written.
            self.progress.close(_FIGURES_OF_A_STALL)
        else:
            self.progress.close(_ALL_FIGURES if self._finished() else _LAST_FIGURES)

    def _report(self) -> None:
        failures = self._failures()
        if failures:
            lines = [str(failure) for failure in failures]
            head = f"{len(lines)} of {len(self.workers)} streams failed:" if len(lines) > 1 else "a stream failed:"
            # The earliest failure comes last, because readers look at the last line of a log.
            raise StreamFailedError("\n".join([head, *lines[::-1]]), tuple(failures))
        self.lease.check()
        if self.interrupted:
            raise RunInterruptedError("stopped by a signal: current batches were finished or will be repeated")

    @contextmanager
    def _signals(self, tick: threading.Event) -> Iterator[None]:
        """Let SIGTERM and SIGINT stop the streams; a second signal ends the process at once."""
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
