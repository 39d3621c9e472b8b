"""Figures of each batch: a JSON log line at once, a row of the progress table a little later."""

import json
import logging
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sensor_streams.keyed.write import append
from sensor_streams.tables import Catalog, Columns, TableSpec

log = logging.getLogger("sensor_streams.progress")

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
]
VIEW = "stream_progress"
PREFIX = "progress_"


@dataclass(frozen=True)
class BatchFigures:
    """One batch: rows in (as the source counts them), rows written, lines rejected, durations, lag.

    lag_seconds: from the newest time that the batch touched to its end. heap_mb: what the driver's heap held then.
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

    def line(self) -> str:
        """The figures as one line of JSON."""
        return json.dumps(asdict(self) | {"started_at": self.started_at.isoformat()})


class ProgressTable:
    """The progress table of one process; only this process writes it, so that nothing can conflict."""

    def __init__(self, catalog: Catalog, task: str) -> None:
        self.catalog = catalog
        self.task = task
        self._waiting: list[BatchFigures] = []
        self._lock = threading.Lock()
        self._table = f"{PREFIX}{task}"
        self._failed = False
        self._opened = False

    def add(self, figures: BatchFigures) -> None:
        """Log one batch; its row is written with the next flush. Never raises: figures may be lost, a stream not."""
        try:
            log.info(figures.line())
            with self._lock:
                self._waiting.append(figures)
        except Exception as error:
            self._warn(error)

    def flush(self) -> None:
        """Write what waits. Never raises."""
        with self._lock:
            rows, self._waiting = self._waiting, []
        if not rows:
            return
        try:
            if not self._opened:
                self.catalog.create(TableSpec(self._table, COLUMNS, ("stream", "run", "attempt", "batch_id")))
                self._opened = True
            schema = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
            values = [tuple(asdict(figures).values()) for figures in rows]
            frame = self.catalog.spark.createDataFrame(values, schema)
            append(self.catalog.handle(self._table), frame, COLUMNS, None)
        except Exception as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        # Once: a store that is away would otherwise fill the log that one needs to see why.
        if not self._failed:
            self._failed = True
            log.warning("figures are not kept (%s: %s); the streams go on", type(error).__name__, error)


def create_view(catalog: Catalog, tasks: list[str]) -> None:
    """The view `stream_progress` over the progress tables that exist."""
    names = [f"{PREFIX}{task}" for task in tasks if catalog.exists(f"{PREFIX}{task}")]
    if names:
        union = " UNION ALL ".join(f"SELECT * FROM {catalog.full_name(name)}" for name in names)
        catalog.spark.sql(f"CREATE OR REPLACE VIEW {catalog.full_name(VIEW)} AS {union}")


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)
