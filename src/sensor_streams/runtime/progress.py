"""Figures of each batch: a JSON log line at once, a row of the progress table later."""

import json
import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TextIO

from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from sensor_streams.error_causes import first_line
from sensor_streams.incremental.transactions import append
from sensor_streams.ingest.rejections import Rejection
from sensor_streams.runtime.run_environment import RunEnvironment
from sensor_streams.table_spec import PROGRESS_PREFIX, Columns, TableSpec
from sensor_streams.tables import Catalog

log = logging.getLogger("sensor_streams.progress")
warnings = logging.getLogger("sensor_streams.runtime")

COLUMNS: Columns = [
    ("stream", "string"),
    ("run", "string"),
    ("attempt", "int"),
    ("batch_id", "bigint"),
    ("started_at", "timestamp"),
    ("rows_in", "bigint"),
    ("rows_out", "bigint"),
    ("rejected", "bigint"),
    ("seconds", "double"),
    ("write_seconds", "double"),
    ("lag_seconds", "double"),
    ("heap_mb", "double"),
    ("model_version", "string"),
    ("model_refused", "string"),
    # Of the run, the same in all its rows.
    ("java", "string"),
    ("runtime", "string"),
    ("spark", "string"),
    ("delta", "string"),
    ("wheel", "string"),
    ("python", "string"),
    # A JSON object, because its names change with the dependencies of the wheel.
    ("packages", "string"),
]
_KEY = ("stream", "run", "attempt", "batch_id")
VIEW = "stream_progress"
# Largest number of rows that wait while the table cannot be written.
_MOST_WAITING = 10_000


@dataclass(frozen=True)
class BatchFigures:
    """Figures of one batch: rows in (lines of files, changes of a table), rows written, lines rejected, durations.

    lag_seconds: from the newest time that the batch touched to its end. heap_mb: driver heap in use at its end.
    model_version: version that scored the rows; model_refused: a version that could not, and the reason.
    """

    stream: str
    run: str
    attempt: int
    batch_id: int
    started_at: datetime
    rows_in: int
    rows_out: int
    rejected: int
    seconds: float
    write_seconds: float
    lag_seconds: float | None
    heap_mb: float
    model_version: str | None = None
    model_refused: str | None = None
    # Reasons, if a tenth or more of the lines was rejected. In the JSON line, not in the table.
    rejections: tuple[Rejection, ...] = ()

    def line(self) -> str:
        """Return the figures as one line of JSON."""
        return json.dumps(asdict(self) | {"started_at": self.started_at.isoformat()})

    def row(self) -> dict[str, object]:
        """Return the figures of the progress table, by column."""
        return {name: value for name, value in asdict(self).items() if name != "rejections"}


class ProgressTable:
    """Progress table of one process, which no other process writes, so that no write conflicts.

    A thread writes the rows: the first write creates the table, which takes seconds, and the supervisor must not wait.
    """

    def __init__(self, catalog: Catalog, task: str, interval: float, environment: RunEnvironment) -> None:
        self.catalog = catalog
        self.interval = interval
        self.environment = environment
        self._waiting: list[BatchFigures] = []
        self._lock = threading.Lock()
        self._table = f"{PROGRESS_PREFIX}{task}"
        self._handle: DeltaTable | None = None
        self._view_exists = False
        self._failed = False
        self._has_rows = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread that writes rows."""
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Write the waiting rows, in at most these seconds."""
        self._stop.set()
        self._has_rows.set()
        if self._thread is not None:
            self._thread.join(max(0.0, seconds))

    def add(self, figures: BatchFigures) -> None:
        """Log one batch; its row is written later. Never raises: lost figures must not stop a stream."""
        try:
            log.info(figures.line())
            with self._lock:
                self._waiting.append(figures)
            self._has_rows.set()
        except Exception as error:
            self._warn(error)

    def _run(self) -> None:
        # The first figures are written at once, so that the view exists however the run ends.
        self._has_rows.wait()
        self._flush()
        while not self._stop.wait(self.interval):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            rows, self._waiting = self._waiting, []
        if not rows:
            return
        try:
            schema = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
            values = [tuple((figures.row() | self.environment.row()).values()) for figures in rows]
            frame = self.catalog.spark.createDataFrame(values, schema)
            append(self._open(), frame, COLUMNS, None)
        except Exception as error:
            self._warn(error)
            with self._lock:
                self._waiting = [*rows, *self._waiting][-_MOST_WAITING:]
        else:
            self._create_view()

    def _open(self) -> DeltaTable:
        """Return the table's handle; the first call creates the table."""
        if self._handle is None:
            self.catalog.create(TableSpec(self._table, COLUMNS, _KEY))
            self._handle = self.catalog.handle(self._table)
        return self._handle

    def _create_view(self) -> None:
        """Create the view of all tasks' progress tables, once; a failed attempt is repeated at the next write."""
        if self._view_exists:
            return
        try:
            tables = self.catalog.tables_with_prefix(PROGRESS_PREFIX)
            for table in tables:
                # A task of an older version has fewer columns, and a union needs equal ones.
                self.catalog.open(TableSpec(table, COLUMNS, _KEY))
            self.catalog.create_view(VIEW, tables)
            self._view_exists = True
        except Exception as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        # Log only the first error, so that an unavailable store does not fill the log.
        if not self._failed:
            self._failed = True
            cause = first_line(str(error))
            warnings.warning("batch figures were not written (%s: %s); streams go on", type(error).__name__, cause)


def announce(streams: Iterable[str]) -> None:
    """Print the streams that this task runs, as a line of JSON, before the first batch (docs/local-runs.md)."""
    log.info("%s", json.dumps({"streams": list(streams)}))


def announce_versions(environment: RunEnvironment) -> None:
    """Print the versions that this run uses, as a line of JSON, before the first batch."""
    log.info("%s", environment.line())


@contextmanager
def json_lines_to(stream: TextIO) -> Iterator[None]:
    """Write each batch's figures to the stream only, as a line of JSON."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.level, log.propagate = before


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def heap_in_use(spark: SparkSession) -> float:
    """Return the driver's heap in use, in MB."""
    jvm = spark._jvm
    if jvm is None:
        return 0.0
    used = jvm.java.lang.management.ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed()
    return round(float(used) / 1e6, 1)
