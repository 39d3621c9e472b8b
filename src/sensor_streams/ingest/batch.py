"""One batch of files: read, checked, decided, written; a damaged file is set aside as a whole."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.ingest.damaged import damaged_files
from sensor_streams.ingest.decide import decide
from sensor_streams.ingest.parse import parse
from sensor_streams.ingest.tables import files_table, readings_columns, rejected_table
from sensor_streams.keyed.difference import INSERT, OPERATION, UPDATE
from sensor_streams.keyed.engine import Handles, Outcome
from sensor_streams.keyed.write import Once, Writes, append, apply

_HOUR = 3600
# Up to this many device hours of a batch are sent to each task that looks for what is stored.
_BROADCAST = 300_000


@dataclass(frozen=True)
class LandedFile:
    """A file of a batch: its address as Spark names it, its name below the landing folder, arrival (UTC), size."""

    path: str
    name: str
    arrived_at: datetime
    size: int


@dataclass(frozen=True)
class _Counts:
    lines: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0


def ingest_batch(
    files: DataFrame, landing: str, batch_id: int, fleet: Fleet, handles: Handles, once: Once | None
) -> Outcome:
    """Write what a batch of files (path, modificationTime, length) holds to the three tables of ingestion.

    A line that is stored already, accepted or rejected, is left as it is, so that the same files again, or a batch
    that was killed between two writes, change nothing and count once. The first write is the readings' and the last
    one the files': a file that is recorded is complete.
    """
    landed = [
        LandedFile(row["path"], relative_name(row["path"], landing), _utc(row["modificationTime"]), int(row["length"]))
        for row in files.collect()
    ]
    landed += _empty_files(landing)
    if not landed:
        return Outcome()
    parsed, aside = _read(landed, landing, fleet, handles)
    decided = _decide(parsed, landed, handles).localCheckpoint()
    figures = _count(decided)
    aside = {**aside, **_hollow(landed, figures.by_file)}
    new = decided.where(~F.col("stored"))
    writes = Writes()
    if figures.new_readings:
        columns = readings_columns(fleet)
        rows = new.where(F.col("decision") == "accepted").withColumn("event_date", F.to_date("event_time"))
        append(handles.tables["readings"], rows.select(*[n for n, _ in columns]), columns, _part(once, "readings"))
        writes = Writes(inserted=figures.new_readings)
    if figures.new_rejected:
        columns = rejected_table(fleet).columns
        valid = F.is_valid_utf8("raw")
        rows = (
            new.where(F.col("decision") == "rejected")
            .withColumn("raw_bytes", F.when(~valid, F.col("raw").cast("binary")))
            .withColumn("raw", F.when(valid, F.col("raw")).otherwise(F.make_valid_utf8("raw")))
            .withColumn("arrived_date", F.to_date("arrived_at"))
        )
        target = handles.tables["readings_rejected"]
        append(target, rows.select(*[n for n, _ in columns]), columns, _part(once, "readings_rejected"))
    _record(landed, figures.by_file, aside, batch_id, fleet, handles, _part(once, "ingested_files"))
    rejected = sum(c.rejected for c in figures.by_file.values())
    return Outcome(writes, rejected=rejected, newest=figures.newest)


def _hollow(landed: Sequence[LandedFile], counts: Mapping[str, _Counts]) -> dict[str, str]:
    """The .bz2 files that hold no line: of what is no bzip2 at all, that codec reads nothing, without an error."""
    nothing = 14  # bytes of a bzip2 file without content
    return {
        file.name: "damaged: no bzip2 content in it"
        for file in landed
        if file.name.endswith(".bz2") and file.size not in (0, nothing) and not counts.get(file.name, _Counts()).lines
    }


def _empty_files(landing: str) -> list[LandedFile]:
    """The files without content: Spark's sources leave them out, and someone may wait for what is in them."""
    found = []
    for folder, folders, names in os.walk(landing):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        for name in names:
            file = Path(folder) / name
            try:
                status = file.stat()
            except FileNotFoundError:
                continue
            if status.st_size == 0 and not name.startswith((".", "_")):
                arrived = datetime.fromtimestamp(status.st_mtime, UTC)
                found.append(LandedFile(str(file), relative_name(str(file), landing), arrived, 0))
    return found


def relative_name(path: str, landing: str) -> str:
    """The file's name below the landing folder, whatever scheme and encoding the address has."""
    folder = PurePosixPath(landing).as_posix().rstrip("/")
    at = path.find(folder + "/")
    return path if at < 0 else path[at + len(folder) + 1 :]


def _utc(time: datetime) -> datetime:
    # Spark hands timestamps over in the machine's local time, without a zone.
    return time.astimezone(UTC)


def _part(once: Once | None, table: str) -> Once | None:
    return None if once is None else Once(f"{once.app}:{table}", once.version)


def _read(
    landed: Sequence[LandedFile], landing: str, fleet: Fleet, handles: Handles
) -> tuple[DataFrame, Mapping[str, str]]:
    """The files' lines, parsed, and those files that cannot be read to their end (name → reason)."""
    good = [file for file in landed if file.size]
    if not good:
        return _parse([], landing, fleet, handles), {}
    try:
        return _parse(good, landing, fleet, handles), {}
    except (PySparkException, Py4JJavaError):
        damaged = damaged_files(handles.session, [file.path for file in good])
        if not damaged:
            raise
        aside = {file.name: damaged[file.path] for file in good if file.path in damaged}
        return _parse([f for f in good if f.path not in damaged], landing, fleet, handles), aside


def _parse(files: Sequence[LandedFile], landing: str, fleet: Fleet, handles: Handles) -> DataFrame:
    spark = handles.session
    if files:
        # Names are taken literally: what looks like a pattern in one would match other files.
        text = spark.read.text([re.sub(r"([\\{}\[\]*?^])", r"\\\1", file.path) for file in files])
        address = F.url_decode(F.replace(F.col("_metadata.file_path"), F.lit("+"), F.lit("%2B")))
        start = len(PurePosixPath(landing).as_posix().rstrip("/")) + 1
        name = F.substr(address, F.instr(address, PurePosixPath(landing).as_posix()) + F.lit(start))
        lines = text.select(
            F.col("value").alias("raw"),
            name.alias("source_file"),
            F.col("_metadata.file_modification_time").alias("arrived_at"),
        )
    else:
        lines = spark.createDataFrame([], "raw string, source_file string, arrived_at timestamp")
    return parse(lines, fleet).localCheckpoint()


def _decide(parsed: DataFrame, landed: Sequence[LandedFile], handles: Handles) -> DataFrame:
    """Decide every line, next to those stored rows that share a device and an hour with the batch."""
    hour = F.floor(F.unix_seconds("event_time") / _HOUR).alias("hour")
    keyed = parsed.where(F.col("device_id").isNotNull() & F.col("event_time").isNotNull())
    hours = keyed.select("device_id", hour).distinct().localCheckpoint()
    dates = F.to_date(F.timestamp_seconds(F.col("hour") * _HOUR)).alias("date")
    days = [row["date"] for row in hours.select(dates).distinct().collect()]
    there = handles.read("readings").where(F.col("event_date").isin(days) if days else F.lit(False))
    span = hours.agg(F.min("hour"), F.max("hour"), F.count(F.lit(1))).first()
    if span is not None and span[0] is not None:
        there = there.where(
            (F.col("event_time") >= F.timestamp_seconds(F.lit(span[0] * _HOUR)))
            & (F.col("event_time") < F.timestamp_seconds(F.lit((span[1] + 1) * _HOUR)))
        )
    small = span is not None and span[2] <= _BROADCAST
    wanted = F.broadcast(hours) if small else hours
    stored = there.withColumn("hour", hour).join(wanted, ["device_id", "hour"], "left_semi")
    arrived = sorted({file.arrived_at.date() for file in landed})
    rejected = handles.read("readings_rejected").where(
        F.col("arrived_date").isin(arrived) & F.col("source_file").isin([file.name for file in landed])
    )
    line = ["source_file", "line_hash", "line_occurrence"]
    before = rejected.select(*line, "reason")
    return decide(
        parsed,
        stored.select("device_id", "sensor", "event_time", "sequence", "value", *line),
        F.broadcast(before) if before.count() <= _BROADCAST else before,
    )


@dataclass(frozen=True)
class _Figures:
    by_file: Mapping[str, _Counts]
    new_readings: int
    new_rejected: int
    newest: datetime | None


def _count(decided: DataFrame) -> _Figures:
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
    times = [_utc(row["newest"]) for row in rows if row["newest"] is not None]
    return _Figures(
        {r["source_file"]: _Counts(r["lines"], r["accepted"], r["rejected"], r["duplicates"]) for r in rows},
        sum(row["new_readings"] for row in rows),
        sum(row["new_rejected"] for row in rows),
        max(times, default=None),
    )


def _record(
    landed: Sequence[LandedFile],
    counts: Mapping[str, _Counts],
    aside: Mapping[str, str],
    batch_id: int,
    fleet: Fleet,
    handles: Handles,
    once: Once | None,
) -> None:
    """Write what came of each file; a file that is recorded already with the same figures stays as it is."""
    spec = files_table(fleet)
    names = [file.name for file in landed]
    known = {
        row["source_file"]: (row["lines"], row["accepted"], row["rejected"], row["duplicates"], row["state"])
        for row in handles.read(spec.name).where(F.col("source_file").isin(names)).collect()
    }
    now = datetime.now(UTC)
    rows = []
    for file in landed:
        count = counts.get(file.name, _Counts())
        state = "SET_ASIDE" if file.name in aside else "DONE"
        reason = aside.get(file.name) or (None if file.size else "empty file")
        figures = (count.lines, count.accepted, count.rejected, count.duplicates, state)
        if known.get(file.name) == figures:
            continue
        operation = UPDATE if file.name in known else INSERT
        rows.append((file.name, batch_id, file.arrived_at, file.size, *figures, reason, now, operation))
    if rows:
        schema = ", ".join(f"{name} {kind}" for name, kind in [*spec.columns, (OPERATION, "string")])
        changes = handles.session.createDataFrame(rows, schema)
        apply(handles.tables[spec.name], changes, spec.columns, spec.key, "true", once)
