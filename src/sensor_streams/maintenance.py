"""Maintenance of tables and landing folder: OPTIMIZE, VACUUM, and the archive of landed files."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import functions as F

from sensor_streams.checkpoint.offsets import Position, position_of
from sensor_streams.errors import ConfigurationError
from sensor_streams.failures import TABLE as FAILURES
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.transactions import CONFLICTS
from sensor_streams.ingest.ingest_tables import files_table
from sensor_streams.ingest.landing_files import DONE
from sensor_streams.retention import FILES, LEAST, retention
from sensor_streams.settings import Settings
from sensor_streams.streams import STREAMS
from sensor_streams.table_spec import PROGRESS_PREFIX, TableSpec
from sensor_streams.tables import Catalog

log = logging.getLogger("sensor_streams.maintenance")

# Streams write to the newest partitions, so rewriting those would conflict.
_QUIET = timedelta(days=1)
# Operations without changes for streams to read.
_NO_DATA = ("OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "ADD COLUMNS", "CREATE TABLE")
# Added to the slowest stream's lag: time for a run to start again.
_MARGIN = timedelta(days=1)


@dataclass(frozen=True)
class TableResult:
    """Result for one table: files before and after, hours that replaced files are kept, reasons for skipped steps."""

    table: str
    files_removed: int = 0
    files_added: int = 0
    kept_hours: float | None = None
    notes: tuple[str, ...] = ()


@dataclass
class MaintenanceReport:
    """Result for each table, and the number of archived files."""

    tables: list[TableResult] = field(default_factory=list)
    archived: int = 0
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report as text, a line for each table."""
        lines = []
        for table in self.tables:
            vacuum = "" if table.kept_hours is None else f", replaced files kept for {table.kept_hours:.0f} hours"
            notes = "".join(f"; {note}" for note in table.notes)
            lines.append(f"{table.table}: {table.files_removed} files became {table.files_added}{vacuum}{notes}")
        return [*lines, f"{self.archived} landed files archived", *self.notes]


def maintain(
    catalog: Catalog,
    settings: Settings,
    fleet: Fleet,
    *,
    now: datetime | None = None,
    on_table: Callable[[str], None] | None = None,
) -> MaintenanceReport:
    """Optimize and vacuum every existing table, and archive landed files; streams may run meanwhile.

    OPTIMIZE rewrites partitions that are over a day old, and whole tables without partitions. After a conflict with a
    stream the table is skipped until the next maintenance. VACUUM keeps replaced files for the longest of: `keep`, the
    table's own retention, a day more than the slowest stream's lag. Raises ConfigurationError for an archive inside
    the landing folder, TableError for a checkpoint that cannot be read.
    """
    time = now or datetime.now(UTC)
    archive = _archive(settings)
    positions = {stream.name: position_of(Path(settings.checkpoints) / stream.name) for stream in STREAMS}
    report = MaintenanceReport()
    for spec in _tables(catalog, fleet):
        if on_table is not None:
            on_table(spec.name)
        if not catalog.exists(spec.name):
            continue
        report.tables.append(_maintain_table(catalog, spec, positions, settings.keep, time))
    if archive is not None:
        report.archived, notes = archive_landed(catalog, fleet, settings, archive, positions["readings"], time)
        report.notes += notes
    return report


def _tables(catalog: Catalog, fleet: Fleet) -> list[TableSpec]:
    specs = [spec for stream in STREAMS for spec in stream.tables(fleet)]
    progress = [TableSpec(name, [], ()) for name in catalog.tables_with_prefix(PROGRESS_PREFIX)]
    return [*specs, FAILURES, *progress]


def _maintain_table(
    catalog: Catalog, spec: TableSpec, positions: dict[str, Position], keep: timedelta, now: datetime
) -> TableResult:
    handle = catalog.handle(spec.name)
    notes: list[str] = []
    removed = added = 0
    detail = handle.detail().select("id", "createdAt", "numFiles", "properties").collect()[0]
    try:
        if detail["numFiles"] != 1:
            removed, added = _optimize(handle, spec, now)
    except CONFLICTS:
        notes.append("not optimized: a stream wrote at the same time; the next maintenance tries again")
    lag = slowest_lag(handle, str(detail["id"]), positions, now)
    if lag is None:
        notes.append("not vacuumed: a stream has not read a version that is no longer in the table's history")
        return TableResult(spec.name, removed, added, None, tuple(notes))
    # Delta refuses a shorter time than the table's own retention.
    kept = max(keep, lag + _MARGIN, retention(detail["properties"], FILES) or LEAST)
    if lag + _MARGIN > keep:
        notes.append(f"a stream lags {lag.total_seconds() / 3600:.0f} hours behind")
    hours = kept.total_seconds() / 3600
    # VACUUM lists every file, so skip a younger table: none of its files was replaced before that time.
    if detail["createdAt"] is None or now - detail["createdAt"].astimezone(UTC) >= kept:
        handle.vacuum(hours)
    return TableResult(spec.name, removed, added, hours, tuple(notes))


def _optimize(handle: DeltaTable, spec: TableSpec, now: datetime) -> tuple[int, int]:
    builder = handle.optimize()
    if spec.partition is not None:
        builder = builder.where(f"`{spec.partition}` < DATE'{(now - _QUIET).date().isoformat()}'")
    row = builder.executeCompaction().select("metrics.numFilesRemoved", "metrics.numFilesAdded").first()
    return (0, 0) if row is None else (int(row[0] or 0), int(row[1] or 0))


def slowest_lag(handle: DeltaTable, table_id: str, positions: dict[str, Position], now: datetime) -> timedelta | None:
    """Return the age of the first version that a stream has not read completely; zero if all streams have read all.

    None if that version is no longer in the table's history.
    """
    unread_from = [p.versions[table_id] - p.unfinished for p in positions.values() if table_id in p.versions]
    if not unread_from:
        return timedelta(0)
    first = min(unread_from)
    history = handle.history().select("version", "timestamp", "operation").where(F.col("version") >= first)
    unread = history.where(~F.col("operation").isin(*_NO_DATA)).orderBy("version").first()
    if unread is None:
        return timedelta(0)
    known = history.agg(F.min("version")).first()
    if known is None or known[0] > first:
        return None
    since: datetime = unread["timestamp"].astimezone(UTC)
    return max(timedelta(0), now - since)


def _archive(settings: Settings) -> Path | None:
    if settings.archive is None:
        return None
    landing, archive = Path(settings.landing), Path(settings.archive)
    if archive == landing or landing in archive.parents:
        raise ConfigurationError(
            f"setting archive: {archive} is inside the landing folder {landing}, where its files would arrive again: "
            "give a folder outside of it"
        )
    return archive


def archive_landed(
    catalog: Catalog, fleet: Fleet, settings: Settings, archive: Path, readings: Position, now: datetime
) -> tuple[int, list[str]]:
    """Move landed files that were ingested `archive_after` ago to the same path below `archive`.

    Return the number of moved files, and notes. While a batch of readings is unfinished nothing is moved, because
    that batch reads its files again.
    """
    name = files_table(fleet).name
    if not catalog.exists(name):
        return 0, []
    if readings.unfinished:
        return 0, ["nothing archived: a batch of readings has not ended and will read its files again"]
    before = F.lit(now - settings.archive_after)
    rows = catalog.read(name).where((F.col("state") == DONE) & (F.col("bytes") > 0) & (F.col("recorded_at") < before))
    names = [row["source_file"] for row in rows.select("source_file").collect()]
    return _move(Path(settings.landing), archive, names), []


def _move(landing: Path, archive: Path, names: Sequence[str]) -> int:
    """Move files and return their number. A kill never leaves half a file: copy, rename the copy, remove.

    A missing file was moved before.
    """
    moved = 0
    for name in sorted(names):
        source, target = landing / name, archive / name
        if not source.is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}.new")
        # copy2 keeps the modification time, which is the time of arrival if the file is ever ingested again.
        shutil.copy2(source, new)
        new.replace(target)
        source.unlink()
        moved += 1
    return moved
