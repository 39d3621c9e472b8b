"""One stream inside a task: its query, its batches, and the reason for its end."""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from sensor_streams.checkpoint.lease import Lease
from sensor_streams.error_causes import describe, first_line
from sensor_streams.errors import NoModelError, StreamFailure
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Batch, Handles, Outcome, Stream
from sensor_streams.incremental.transactions import CONFLICTS, BatchTransaction
from sensor_streams.inference.champions import Champion, score_with_champion
from sensor_streams.runtime.progress import BatchFigures, ProgressTable, heap_in_use, now
from sensor_streams.settings import Settings
from sensor_streams.tables import Catalog

log = logging.getLogger("sensor_streams.runtime")

# Error class of a query that makes no progress.
STALLED = "STALLED"
# Attempts at a batch before a conflict with another writer is a failure.
_TURNS = 4


class _ClosingError(Exception):
    """The task is stopping, so this batch does not start."""


@dataclass
class Worker:
    """Query of one stream: starts it, runs its batches, records its failure.

    waits: reason why it waits for a model. stop_requested_at: monotonic time of the supervisor's stop request; a
    later failure is a consequence of it.
    """

    stream: Stream
    settings: Settings
    fleet: Fleet
    catalog: Catalog
    lease: Lease
    progress: ProgressTable
    champion: Champion | None
    closing: threading.Event
    on_batch: Callable[[BatchFigures], None] | None = None
    query: StreamingQuery | None = None
    failure: StreamFailure | None = None
    state: str = "WAITING"
    waits: str | None = None
    batch: int | None = None
    in_batch: bool = False
    last_progress_at: float = field(default_factory=time.monotonic)
    stop_requested_at: float | None = None
    _handles: Handles | None = None
    _outcomes: dict[int, tuple[Outcome, float]] = field(default_factory=dict)
    _reported: int = -1
    _last_event_time: str = ""
    _app: str = ""
    _stopping: threading.Thread | None = None

    @property
    def folder(self) -> Path:
        """Folder of the stream's checkpoint; the path is the same in every job shape."""
        return Path(self.settings.checkpoints) / self.stream.name

    def start(self) -> None:
        """Start the query. Raises the errors of Spark."""
        self.state, self.waits = "RUNNING", None
        # Each query has its own session.
        self._handles = None
        for warning in self.stream.scope.warnings(self.catalog, self.settings):
            log.warning("stream %s: %s", self.stream.name, warning)
        self.last_progress_at = time.monotonic()
        checkpoint = self.folder / "checkpoint"
        writer = (
            self.stream.scope.open_source(self.stream, self.catalog, self.settings, str(self.folder))
            .writeStream.queryName(self.stream.name)
            .option("checkpointLocation", str(checkpoint))
            .foreachBatch(self._run)
        )
        if (interval := self.settings.interval) is None:
            writer = writer.trigger(availableNow=True)
        else:
            writer = writer.trigger(processingTime=f"{int(interval.total_seconds() * 1000)} milliseconds")
        self.query = writer.start()

    @property
    def active(self) -> bool:
        """True while the query runs."""
        return self.query is not None and self.query.isActive

    def observe(self) -> None:
        """Report the batches that ended since the last call; detect a query that ended or is stalled."""
        if self.query is None or self.state not in ("RUNNING", "STOPPING"):
            return
        # Read before the progress: after the end of a query its progress is complete.
        active = self.query.isActive
        for entry in self._new_progress():
            self.last_progress_at = time.monotonic()
            self._report(entry)
        if not active:
            self._ended()
        elif self.state == "RUNNING":
            self._stalled()

    def begin_stop(self) -> None:
        """Begin to stop the query, in a thread."""
        self._stopping = threading.Thread(target=self._stop_query, name=f"stop {self.stream.name}", daemon=True)
        self._stopping.start()

    def stopped(self, seconds: float) -> bool:
        """Wait for the end of `begin_stop`. Return False when it did not end in time; the query is abandoned."""
        assert self._stopping is not None
        self._stopping.join(max(0.0, seconds))
        return not self._stopping.is_alive()

    def _stop_query(self) -> None:
        try:
            if self.query is not None and self.query.isActive:
                self.query.stop()
        except Exception as error:
            log.warning("stream %s: stopping it failed: %s", self.stream.name, first_line(str(error)))

    def _run(self, rows: DataFrame, batch_id: int) -> None:
        """Run one micro-batch; record its error before Spark wraps it."""
        if self.closing.is_set():
            raise _ClosingError
        self.batch, self.in_batch = batch_id, True
        begun = time.monotonic()
        self.last_progress_at = begun
        try:
            self.lease.check()
            outcome = self._retried(rows, batch_id)
        except NoModelError as error:
            # The batch is not committed, so Spark repeats it when a model exists.
            self.waits = str(error)
            raise
        except Exception as error:
            # A stalled query that is stopped raises an interruption: keep the stall as its failure.
            self.failure = self.failure or describe(self.stream.name, batch_id, error)
            raise
        finally:
            self.in_batch = False
        self._outcomes[batch_id] = (outcome, time.monotonic() - begun)

    def _retried(self, rows: DataFrame, batch_id: int) -> Outcome:
        """Process the batch; again after a conflict, from the current tables.

        No stream writes the table of another, but maintenance rewrites files, which conflicts with a batch that read
        them.
        """
        for turn in range(1, _TURNS):
            try:
                return self._process(rows, batch_id)
            except CONFLICTS as error:
                log.warning(
                    "stream %s, batch %d: another writer was faster (%s); computing it again, %d of %d",
                    self.stream.name,
                    batch_id,
                    first_line(str(error)),
                    turn,
                    _TURNS - 1,
                )
                self.lease.check()
        return self._process(rows, batch_id)

    def _process(self, rows: DataFrame, batch_id: int) -> Outcome:
        if self._handles is None:
            # All batches of a query share one session.
            self._handles = Handles.of_stream(self.catalog, self.stream, self.fleet, rows.sparkSession)
            metadata = json.loads((self.folder / "checkpoint" / "metadata").read_text("utf-8"))
            self._app = str(metadata["id"])
        batch = Batch(
            stream=self.stream,
            fleet=self.fleet,
            tables=self._handles,
            transaction=BatchTransaction(f"{self._app}:{self.stream.name}:{self.fleet.fingerprint}", batch_id),
            landing=self.settings.landing,
        )
        scope = self.stream.scope
        if self.champion is None:
            return scope.process_batch(rows, batch)
        return score_with_champion(
            self.champion, lambda model: scope.process_batch(rows, replace(batch, model=model)), self.lease.check
        )

    def _new_progress(self) -> list[dict[str, object]]:
        """Return the query's progress events since the last call; an idle query has one every ten seconds.

        Reads backwards from the newest event: reading all stored events at each call would use a whole core.
        """
        assert self.query is not None
        recent = self.query._jsq.recentProgress()
        found: list[dict[str, object]] = []
        for at in range(len(recent) - 1, -1, -1):
            if str(recent[at].timestamp()) <= self._last_event_time:
                break
            found.append(json.loads(recent[at].json()))
        if found:
            self._last_event_time = str(found[0]["timestamp"])
        return found[::-1]

    def _report(self, entry: dict[str, object]) -> None:
        """Report the figures of a batch that ended."""
        batch = int(str(entry["batchId"]))
        outcome = self._outcomes.pop(batch, None)
        if outcome is None or batch <= self._reported:
            return
        self._reported = batch
        done, seconds = outcome
        duration = entry.get("durationMs")
        total = float(duration.get("triggerExecution", 0)) / 1000 if isinstance(duration, dict) else seconds
        started = datetime.fromisoformat(str(entry["timestamp"]).replace("Z", "+00:00"))
        lag = None if done.newest is None else round((now() - done.newest).total_seconds(), 3)
        figures = BatchFigures(
            stream=self.stream.name,
            run=self.settings.run,
            attempt=self.settings.attempt,
            batch_id=batch,
            started_at=started,
            rows_in=done.rows_in if done.rows_in is not None else int(str(entry.get("numInputRows", 0))),
            rows_out=done.writes.total,
            rejected=done.rejected,
            rejections=done.rejections,
            seconds=total,
            write_seconds=round(seconds, 3),
            lag_seconds=lag,
            heap_mb=heap_in_use(self.catalog.spark),
            model_version=done.model,
            model_refused=done.refused,
        )
        self.progress.add(figures)
        if self.on_batch:
            self.on_batch(figures)

    def _ended(self) -> None:
        """Decide whether the end of the query is a failure."""
        assert self.query is not None
        error = self.query.exception()
        if self.stop_requested_at is not None and (self.failure is None or self.failure.at > self.stop_requested_at):
            # A query that is stopped inside a batch ends with an error, which is not a failure.
            self.state, self.failure = "STOPPED", None
            return
        self.state = "FAILED"
        if self.waits is not None and self.failure is None:
            self.state = "WAITING_FOR_MODEL"
        elif error is not None:
            self.failure = self.failure or describe(self.stream.name, self.batch, error)
        elif self.settings.bounded:
            self.state = "DONE"
        else:
            cause = "the query ended without an error, in a continuous run"
            self.failure = StreamFailure(self.stream.name, self.batch, "SILENT_END", cause)

    @property
    def overdue(self) -> bool:
        """True when the query has made no progress for too long, although it may have had nothing to do."""
        return time.monotonic() - self.last_progress_at > self._longest_batch

    @property
    def _longest_batch(self) -> float:
        # No progress is expected between two triggers.
        interval = 0.0 if self.settings.interval is None else self.settings.interval.total_seconds()
        return max(self.settings.stall_after.total_seconds(), 2 * interval)

    def _stalled(self) -> None:
        """Fail a query without progress for too long while a trigger is active or input waits."""
        if self.query is None or not self.overdue:
            return
        status = self.query.status
        if status["isTriggerActive"] or status["isDataAvailable"]:
            self.state = "FAILED"
            cause = f"no progress for {self._longest_batch:.0f} s while input waits ({status['message']})"
            self.failure = StreamFailure(self.stream.name, self.batch, STALLED, cause)
