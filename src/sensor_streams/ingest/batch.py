"""One batch of files: read, checked, decided, written; a damaged file is set aside as a whole."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sensor_streams.errors import InputError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.difference import INSERT, OPERATION, UPDATE
from sensor_streams.incremental.stream import Handles, Outcome
from sensor_streams.incremental.time_slots import BROADCAST_ROWS
from sensor_streams.incremental.transactions import AlreadyCommittedError, BatchTransaction, Writes, append, apply
from sensor_streams.ingest.decide import LINE, decide
from sensor_streams.ingest.ingest_tables import files_table, readings_columns, rejected_table
from sensor_streams.ingest.landing_files import (
    DONE,
    NOT_UTF_8,
    SET_ASIDE,
    LandedFile,
    Landing,
    Recorded,
    arrival_dates,
    files_of_batch,
    lines_of_files,
    recorded_files,
)
from sensor_streams.ingest.read_files import read_files
from sensor_streams.ingest.rejections import most_frequent

_HOUR = 3600
# What stands for a batch's number in `ingested_files` when a command read the file again.
READ_AGAIN = -1


@dataclass(frozen=True)
class _Counts:
    lines: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0

    @property
    def all(self) -> tuple[int, int, int, int]:
        return self.lines, self.accepted, self.rejected, self.duplicates


@dataclass(frozen=True)
class _Batch:
    """What all steps of a batch need: its files by name, what is recorded of them, and where to write."""

    number: int
    landing: Landing
    files: Mapping[str, LandedFile]
    known: Mapping[str, Recorded]
    fleet: Fleet
    handles: Handles
    once: BatchTransaction | None

    def part(self, table: str) -> BatchTransaction | None:
        """The transaction of the write to a table."""
        return None if self.once is None else self.once.of(table)


def ingest_batch(
    files: DataFrame, landing: str, batch_id: int, fleet: Fleet, handles: Handles, once: BatchTransaction | None
) -> Outcome:
    """Write what a batch of files (path, modificationTime, length) holds to the three tables of ingestion.

    A line that is stored already, accepted or rejected, is left as it is, so that the same files again, or a batch
    that was killed between two writes, change nothing and count once. The first write is the readings' and the last
    one the files': a file that is recorded is complete. Raises InputError for a file outside of the landing folder.
    """
    place = Landing.at(landing)
    listed = [
        LandedFile(row["path"], place.name(row["path"]), _utc(row["modificationTime"]), int(row["length"]))
        for row in files.collect()
    ]
    stored = handles.read(files_table(fleet).name)
    empty, strange = place.left_out()
    names = [*(file.name for file in listed), *empty, *(file.name for file in strange)]
    known = recorded_files(stored, names)
    found = files_of_batch(listed, empty, place, known)
    unnamed = {f.name: f for f in strange if not (f.name in known and known[f.name].of(f.arrived_at, f.size))}
    return write_files(_Batch(batch_id, place, {**found, **unnamed}, known, fleet, handles, once), list(unnamed))


def read_again(files: Sequence[LandedFile], landing: str, fleet: Fleet, handles: Handles) -> Outcome:
    """Read files that are recorded a second time, outside of any batch: lines that are stored change nothing.

    Without a transaction: who calls this again after a kill finds what is stored, as after a lost checkpoint.
    """
    known = recorded_files(handles.read(files_table(fleet).name), [file.name for file in files])
    found = {file.name: file for file in files}
    return write_files(_Batch(READ_AGAIN, Landing.at(landing), found, known, fleet, handles, None), [])


def write_files(batch: _Batch, unnamed: Sequence[str]) -> Outcome:
    """Read, decide and write the files of a batch; `unnamed`: those whose names Java cannot hold."""
    if not batch.files:
        return Outcome(rows_in=0)
    readable = [file for name, file in batch.files.items() if name not in unnamed]
    parsed, aside = read_files(readable, batch.landing, batch.fleet, batch.handles.session)
    aside = {**aside, **dict.fromkeys(unnamed, NOT_UTF_8)}
    stored = batch.handles.read(files_table(batch.fleet).name)
    done = Writes()
    while True:
        figures, left_out, decided = _write(batch, parsed, aside)
        done += Writes(inserted=figures.new_readings)
        if not left_out or batch.once is None:
            break
        # An earlier attempt wrote something else than this one has: look again what is left to write.
        again = recorded_files(stored, list(batch.files))
        batch = replace(batch, known=again, once=batch.once.again())
    counts = figures.by_file.values()
    rejected, lines = sum(count.rejected for count in counts), sum(count.lines for count in counts)
    reasons = most_frequent(decided, rejected, lines)
    return Outcome(done, rejected=rejected, newest=figures.newest, rows_in=lines, rejections=reasons)


def _write(batch: _Batch, parsed: DataFrame, aside: Mapping[str, str]) -> tuple["_Figures", bool, DataFrame]:
    """Decide the lines and write what is new; the figures, and whether Delta left a write out as known."""
    fleet, tables = batch.fleet, batch.handles.tables
    decided = _decide(parsed, batch).localCheckpoint()
    figures = _count(decided, batch.files)
    new = decided.where(~F.col("stored"))
    try:
        if figures.new_readings:
            columns = readings_columns(fleet)
            rows = new.where(F.col("decision") == "accepted").withColumn("event_date", F.to_date("event_time"))
            append(tables["readings"], rows.select(*[n for n, _ in columns]), columns, batch.part("readings"))
    except AlreadyCommittedError:
        return replace(figures, new_readings=0), True, decided
    try:
        if figures.new_rejected:
            columns = rejected_table(fleet).columns
            valid = F.is_valid_utf8("raw")
            rows = (
                new.where(F.col("decision") == "rejected")
                .withColumn("raw_bytes", F.when(~valid, F.col("raw").cast("binary")))
                .withColumn("raw", F.when(valid, F.col("raw")).otherwise(F.make_valid_utf8("raw")))
                .withColumn("arrived_date", F.to_date("arrived_at"))
            )
            target = tables["readings_rejected"]
            append(target, rows.select(*[n for n, _ in columns]), columns, batch.part("readings_rejected"))
        _record(batch, figures.by_file, aside)
    except AlreadyCommittedError:
        return figures, True, decided
    return figures, False, decided


def _utc(time: datetime) -> datetime:
    # Spark hands timestamps over in the machine's local time, without a zone.
    return time.astimezone(UTC)


def _decide(parsed: DataFrame, batch: _Batch) -> DataFrame:
    """Decide every line, next to those stored rows that share a device and an hour with the batch."""
    hour = F.floor(F.unix_seconds("event_time") / _HOUR).alias("hour")
    keyed = parsed.where(F.col("device_id").isNotNull() & F.col("event_time").isNotNull())
    hours = keyed.select("device_id", hour).distinct().localCheckpoint()
    dates = F.to_date(F.timestamp_seconds(F.col("hour") * _HOUR)).alias("date")
    days = [row["date"] for row in hours.select(dates).distinct().collect()]
    # Not as Python's dates: PySpark writes them with strftime, and the year 999 with three digits.
    dated = ", ".join(f"DATE'{day.isoformat()}'" for day in days)
    there = batch.handles.read("readings").where(f"event_date IN ({dated})" if days else "false")
    span = hours.agg(F.min("hour"), F.max("hour"), F.count(F.lit(1))).first()
    if span is not None and span[0] is not None:
        there = there.where(
            (F.col("event_time") >= F.timestamp_seconds(F.lit(span[0] * _HOUR)))
            & (F.col("event_time") < F.timestamp_seconds(F.lit((span[1] + 1) * _HOUR)))
        )
    small = span is not None and span[2] <= BROADCAST_ROWS
    wanted = F.broadcast(hours) if small else hours
    stored = there.withColumn("hour", hour).join(wanted, ["device_id", "hour"], "left_semi")
    rejected = batch.handles.read("readings_rejected").where(
        arrival_dates(batch.files, batch.known) & F.col("source_file").isin(list(batch.files))
    )
    before = rejected.select(*LINE, "reason").dropDuplicates(list(LINE))
    return decide(
        parsed,
        stored.select("device_id", "sensor", "event_time", "sequence", "value", *LINE),
        F.broadcast(before) if before.count() <= BROADCAST_ROWS else before,
    )


@dataclass(frozen=True)
class _Figures:
    by_file: Mapping[str, _Counts]
    new_readings: int
    new_rejected: int
    newest: datetime | None


def _count(decided: DataFrame, files: Collection[str]) -> _Figures:
    rows = (
        decided.groupBy("source_file")
        .agg(
            F.count(F.lit(1)).alias("lines"),
            F.count_if(F.col("decision") == "accepted").alias("accepted"),
            F.count_if(F.col("decision") == "rejected").alias("rejected"),
            F.count_if(F.col("decision") == "duplicate").alias("duplicates"),
            F.count_if((F.col("decision") == "accepted") & ~F.col("stored")).alias("new_readings"),
            F.count_if((F.col("decision") == "rejected") & ~F.col("stored")).alias("new_rejected"),
            F.max(F.when(F.col("decision") == "accepted", F.col("event_time"))).alias("newest"),
        )
        .collect()
    )
    strange = [row["source_file"] for row in rows if row["source_file"] not in files]
    if strange:
        raise InputError(f"{strange[0]}: lines came from a file of this name, which the batch does not have")
    times = [_utc(row["newest"]) for row in rows if row["newest"] is not None]
    return _Figures(
        {r["source_file"]: _Counts(r["lines"], r["accepted"], r["rejected"], r["duplicates"]) for r in rows},
        sum(row["new_readings"] for row in rows),
        sum(row["new_rejected"] for row in rows),
        max(times, default=None),
    )


def _stored_of_changed(batch: _Batch, counts: Mapping[str, _Counts]) -> dict[str, tuple[int, int]]:
    """Return how many accepted and rejected lines the tables hold of files that are not as they were recorded.

    That is by size, time or counts: the last where a file was written over, and read once more since.

    A file that was written over still has the lines that it held before. Looked up for such files only: Delta finds
    the rows by the least and greatest name of each data file.
    """
    changed = []
    for name, file in batch.files.items():
        known = batch.known.get(name)
        if known is not None and known.lines:
            same = known.of(file.arrived_at, file.size) and counts.get(name, _Counts()).all == known.counts
            changed += [] if same else [name]
    if not changed:
        return {}
    accepted, rejected = (
        lines_of_files(batch.handles.read(table), changed) for table in ("readings", "readings_rejected")
    )
    return {name: (accepted.get(name, 0), rejected.get(name, 0)) for name in changed}


def _record(batch: _Batch, counts: Mapping[str, _Counts], aside: Mapping[str, str]) -> None:
    """Write what came of each file; a file that is recorded already with the same figures stays as it is."""
    spec = files_table(batch.fleet)
    now = datetime.now(UTC)
    rows = []
    totals = _stored_of_changed(batch, counts)
    for file in batch.files.values():
        count, known = counts.get(file.name, _Counts()), batch.known.get(file.name)
        if file.name in totals:
            # Lines that it held before stay decided and count on.
            accepted, rejected = totals[file.name]
            lines = accepted + rejected + count.duplicates
            count = _Counts(lines, accepted, rejected, count.duplicates)
        state = SET_ASIDE if file.name in aside else DONE
        reason = aside.get(file.name) or (None if file.size else "empty file")
        arrived = file.arrived_at
        if known is not None and (known.counts[2] or count.rejected):
            # The rejected lines that are stored stand under the date that it had then, see `arrival_dates`.
            arrived = min(arrived, known.arrived_at)
        changed = known is not None and (known.size != file.size or known.touched(file.arrived_at))
        # Of a file that waits for its content, size and time say whether it came.
        waits = state == SET_ASIDE or not file.size
        if (
            known is not None
            and (known.counts, known.state) == (count.all, state)
            and not changed
            and (not waits or known.of(file.arrived_at, file.size))
        ):
            continue
        figures = (*count.all, state, reason, now, INSERT if known is None else UPDATE)
        rows.append((file.name, batch.number, arrived, file.size, *figures))
    if not rows:
        return
    schema = ", ".join(f"{name} {kind}" for name, kind in [*spec.columns, (OPERATION, "string")])
    changes = batch.handles.session.createDataFrame(rows, schema)
    if all(row[-1] == INSERT for row in rows):
        # What is new is known here: nothing has to be counted first.
        append(batch.handles.tables[spec.name], changes, spec.columns, batch.part(spec.name))
    else:
        apply(batch.handles.tables[spec.name], changes, spec.columns, spec.key, "true", batch.part(spec.name))
