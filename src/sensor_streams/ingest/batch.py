"""One batch of files: read, decide and write their lines; files that cannot be read are set aside."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.errors import InputError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.difference import INSERT, OPERATION, UPDATE
from sensor_streams.incremental.interpreted import interpreted
from sensor_streams.incremental.slots import SLOT, Slots, slots_of
from sensor_streams.incremental.small_rows import kept
from sensor_streams.incremental.stream import Handles, Outcome
from sensor_streams.incremental.transactions import AlreadyCommittedError, BatchTransaction, Writes, append, apply
from sensor_streams.ingest.decide import LINE, decide, decide_most_directly
from sensor_streams.ingest.ingest_tables import files_table, readings_columns, rejected_table
from sensor_streams.ingest.landing_files import (
    DONE,
    NOT_UTF_8,
    SET_ASIDE,
    Counts,
    LandedFile,
    Landing,
    RecordedFile,
    arrival_dates,
    files_of_batch,
    lines_of_files,
    recorded_files,
)
from sensor_streams.ingest.read_files import read_files
from sensor_streams.ingest.rejections import most_frequent
from sensor_streams.table_spec import Columns

_HOUR = 3600
# Up to this many bytes of files, queries are interpreted.
_TINY = 1 << 20
# Batch number in `ingested_files` of a file that a command read again.
READ_AGAIN = -1


@dataclass(frozen=True)
class _Batch:
    """One batch: its files by name, their recorded rows, and where to write."""

    number: int
    landing: Landing
    files: Mapping[str, LandedFile]
    known: Mapping[str, RecordedFile]
    fleet: Fleet
    handles: Handles
    transaction: BatchTransaction | None

    @property
    def is_tiny(self) -> bool:
        """True when compiling a query takes longer than reading the files."""
        return sum(file.size for file in self.files.values()) <= _TINY

    def transaction_of(self, table: str) -> BatchTransaction | None:
        """Return the transaction of the write to a table."""
        return None if self.transaction is None else self.transaction.of(table)


@dataclass(frozen=True)
class _Figures:
    """Figures of a decided batch. New rows are not in their table yet."""

    by_file: Mapping[str, Counts]
    new_readings: int
    new_rejected: int
    newest: datetime | None


def ingest_batch(
    files: DataFrame, landing: str, batch_id: int, fleet: Fleet, handles: Handles, transaction: BatchTransaction | None
) -> Outcome:
    """Write the lines of a batch of files (path, modificationTime, length) to the three tables of ingestion.

    A stored line, accepted or rejected, never changes. So a batch that is repeated, or was killed between two writes,
    adds no line twice. Readings are written first and `ingested_files` last, so a file with a row there is complete.
    Raises InputError for a file outside of the landing folder.
    """
    folder = Landing.at(landing)
    listed = [
        LandedFile(row["path"], folder.name(row["path"]), _utc(row["modificationTime"]), int(row["length"]))
        for row in files.collect()
    ]
    empty, not_utf_8 = folder.skipped_by_sources()
    names = [*(file.name for file in listed), *empty, *(file.name for file in not_utf_8)]
    known = recorded_files(handles.read(files_table(fleet).name), names)
    misnamed = {file.name: file for file in not_utf_8 if not (file.name in known and known[file.name].matches(file))}
    found = files_of_batch(listed, empty, folder, known) | misnamed
    return _write_files(_Batch(batch_id, folder, found, known, fleet, handles, transaction), misnamed)


def read_again(files: Sequence[LandedFile], landing: str, fleet: Fleet, handles: Handles) -> Outcome:
    """Read recorded files again, outside of any batch; lines that are stored do not change.

    No transaction is needed: after a kill the next call finds what is stored.
    """
    known = recorded_files(handles.read(files_table(fleet).name), [file.name for file in files])
    found = {file.name: file for file in files}
    return _write_files(_Batch(READ_AGAIN, Landing.at(landing), found, known, fleet, handles, None), [])


def _write_files(batch: _Batch, misnamed: Collection[str]) -> Outcome:
    """Read, decide and write the files of a batch; misnamed: files whose names are not UTF-8."""
    if not batch.files:
        return Outcome(rows_in=0)
    with interpreted(batch.handles.session, when=batch.is_tiny):
        return _write_lines(batch, misnamed)


def _write_lines(batch: _Batch, misnamed: Collection[str]) -> Outcome:
    """Do the work of `_write_files`."""
    readable = [file for name, file in batch.files.items() if name not in misnamed]
    parsed, aside = read_files(readable, batch.landing, batch.fleet, batch.handles.session)
    aside = {**aside, **dict.fromkeys(misnamed, NOT_UTF_8)}
    done = Writes()
    while True:
        figures, already_committed, decided = _write(batch, parsed, aside)
        done += Writes(inserted=figures.new_readings)
        if not already_committed or batch.transaction is None:
            break
        # An earlier attempt committed other rows under this transaction: decide again which lines are missing.
        known = recorded_files(batch.handles.read(files_table(batch.fleet).name), list(batch.files))
        batch = replace(batch, known=known, transaction=batch.transaction.again())
    counts = figures.by_file.values()
    rejected, lines = sum(count.rejected for count in counts), sum(count.lines for count in counts)
    reasons = most_frequent(decided, rejected, lines)
    return Outcome(done, rejected=rejected, newest=figures.newest, rows_in=lines, rejections=reasons)


def _write(batch: _Batch, parsed: DataFrame, aside: Mapping[str, str]) -> tuple[_Figures, bool, DataFrame]:
    """Decide the lines and write the new ones; True when Delta had already committed one of the transactions."""
    decided = _decide(parsed, batch).localCheckpoint()
    figures = _count(decided, batch.files)
    new = decided.where(~F.col("stored"))
    try:
        if figures.new_readings:
            columns = readings_columns(batch.fleet)
            rows = new.where(F.col("decision") == "accepted").withColumn("event_date", F.to_date("event_time"))
            _append(batch, "readings", rows, columns)
    except AlreadyCommittedError:
        return replace(figures, new_readings=0), True, decided
    try:
        if figures.new_rejected:
            valid = F.is_valid_utf8("raw")
            rows = (
                new.where(F.col("decision") == "rejected")
                .withColumn("raw_bytes", F.when(~valid, F.col("raw").cast("binary")))
                .withColumn("raw", F.when(valid, F.col("raw")).otherwise(F.make_valid_utf8("raw")))
                .withColumn("arrived_date", F.to_date("arrived_at"))
            )
            _append(batch, "readings_rejected", rows, rejected_table(batch.fleet).columns)
        _record(batch, figures.by_file, aside)
    except AlreadyCommittedError:
        return figures, True, decided
    return figures, False, decided


def _append(batch: _Batch, table: str, rows: DataFrame, columns: Columns) -> None:
    selected = rows.select(*[name for name, _ in columns])
    append(batch.handles.tables[table], selected, columns, batch.transaction_of(table))


def _utc(time: datetime) -> datetime:
    # Spark gives timestamps in the machine's local time, without a zone.
    return time.astimezone(UTC)


def _decide(parsed: DataFrame, batch: _Batch) -> DataFrame:
    """Decide every line, compared with the stored readings of the same devices and hours."""
    hour = F.floor(F.unix_seconds("event_time") / _HOUR)
    keyed = parsed.where(F.col("device_id").isNotNull() & F.col("event_time").isNotNull())
    hours = slots_of(keyed.select("device_id", hour.alias(SLOT)).distinct())
    readings = batch.handles.read("readings")
    stored = readings.where("false") if hours is None else _in_hours(readings, hours, hour)
    rejected = batch.handles.read("readings_rejected").where(
        arrival_dates(batch.files, batch.known) & F.col("source_file").isin(list(batch.files))
    )
    before, _ = kept(rejected.select(*LINE, "reason").dropDuplicates(list(LINE)))
    way = decide if batch.is_tiny else decide_most_directly
    return way(
        parsed,
        stored.select("device_id", "sensor", "event_time", "sequence", "value", *LINE),
        before,
    )


def _in_hours(readings: DataFrame, hours: Slots, hour: Column) -> DataFrame:
    """Return the stored readings of these devices and hours."""
    start = F.timestamp_seconds(F.col(SLOT) * _HOUR)
    days = [row["date"] for row in hours.rows.select(F.to_date(start).alias("date")).distinct().collect()]
    # As SQL text: PySpark formats Python's dates with strftime, which writes the year 999 with three digits.
    dated = ", ".join(f"DATE'{day.isoformat()}'" for day in days)
    bounded = readings.where(f"event_date IN ({dated})").where(
        (F.col("event_time") >= F.timestamp_seconds(F.lit(hours.low * _HOUR)))
        & (F.col("event_time") < F.timestamp_seconds(F.lit((hours.high + 1) * _HOUR)))
    )
    return hours.select_from(bounded, hour)


def _count(decided: DataFrame, files: Collection[str]) -> _Figures:
    accepted, rejected, new = F.col("decision") == "accepted", F.col("decision") == "rejected", ~F.col("stored")
    rows = (
        decided.groupBy("source_file")
        .agg(
            F.count(F.lit(1)).alias("lines"),
            F.count_if(accepted).alias("accepted"),
            F.count_if(rejected).alias("rejected"),
            F.count_if(F.col("decision") == "duplicate").alias("duplicates"),
            F.count_if(accepted & new).alias("new_readings"),
            F.count_if(rejected & new).alias("new_rejected"),
            F.max(F.when(accepted, F.col("event_time"))).alias("newest"),
        )
        .collect()
    )
    unexpected = [row["source_file"] for row in rows if row["source_file"] not in files]
    if unexpected:
        raise InputError(f"{unexpected[0]}: Spark read lines of this file, and the batch has no file of this name")
    times = [_utc(row["newest"]) for row in rows if row["newest"] is not None]
    return _Figures(
        {r["source_file"]: Counts(r["lines"], r["accepted"], r["rejected"], r["duplicates"]) for r in rows},
        sum(row["new_readings"] for row in rows),
        sum(row["new_rejected"] for row in rows),
        max(times, default=None),
    )


def _stored_of_changed(batch: _Batch, counts: Mapping[str, Counts]) -> dict[str, tuple[int, int]]:
    """Return how many accepted and rejected lines the tables hold of each file that changed since it was recorded.

    A file changed when its size, time or counts differ. Lines of its earlier content are still stored. Only changed
    files are looked up, because each lookup reads both tables.
    """
    changed = []
    for name, file in batch.files.items():
        known = batch.known.get(name)
        if known is not None and known.counts.lines:
            same = known.matches(file) and counts.get(name, Counts()) == known.counts
            changed += [] if same else [name]
    if not changed:
        return {}
    accepted, rejected = (
        lines_of_files(batch.handles.read(table), changed) for table in ("readings", "readings_rejected")
    )
    return {name: (accepted.get(name, 0), rejected.get(name, 0)) for name in changed}


def _record(batch: _Batch, counts: Mapping[str, Counts], aside: Mapping[str, str]) -> None:
    """Write the rows of `ingested_files` that are new or changed."""
    spec = files_table(batch.fleet)
    now = datetime.now(UTC)
    rows = []
    stored = _stored_of_changed(batch, counts)
    for name, file in batch.files.items():
        count = counts.get(name, Counts())
        if name in stored:
            accepted, rejected = stored[name]
            count = Counts(accepted + rejected + count.duplicates, accepted, rejected, count.duplicates)
        row = _file_row(batch, file, count, aside.get(name), now)
        rows += [] if row is None else [row]
    if not rows:
        return
    schema = ", ".join(f"{name} {kind}" for name, kind in [*spec.columns, (OPERATION, "string")])
    changes = batch.handles.session.createDataFrame(rows, schema)
    if all(row[-1] == INSERT for row in rows):
        append(batch.handles.tables[spec.name], changes, spec.columns, batch.transaction_of(spec.name))
    else:
        apply(batch.handles.tables[spec.name], changes, spec.columns, spec.key, "true", batch.transaction_of(spec.name))


def _file_row(
    batch: _Batch, file: LandedFile, count: Counts, problem: str | None, now: datetime
) -> tuple[Any, ...] | None:
    """Return the row of a file in `ingested_files`, None when the recorded one is still right."""
    known = batch.known.get(file.name)
    state = DONE if problem is None else SET_ASIDE
    if known is not None and (known.counts, known.state) == (count, state):
        unchanged = known.size == file.size and not known.has_new_time(file)
        # Later batches compare the exact size and time of these files.
        waiting = state == SET_ASIDE or not file.size
        if unchanged and (not waiting or known.matches(file)):
            return None
    arrived = file.arrived_at
    if known is not None and (known.counts.rejected or count.rejected):
        # Rejected lines are stored under the date of the first time, see `arrival_dates`.
        arrived = min(arrived, known.arrived_at)
    reason = problem or (None if file.size else "empty file")
    operation = INSERT if known is None else UPDATE
    return (file.name, batch.number, arrived, file.size, *count, state, reason, now, operation)
