"""Erase one device's readings from all tables and files; each step can be repeated."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.checkpoint.offsets import position_of
from sensor_streams.erasure.device_lines import UNREADABLE, Erasure, has_lines_to_erase, line_count, remove_lines
from sensor_streams.errors import InputError, ModelError, TableError
from sensor_streams.failures import TABLE as FAILURES
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.commit_signature import ERASE
from sensor_streams.incremental.difference import DELETE, OPERATION, UPDATE
from sensor_streams.incremental.stream import Batch, Handles, ModelKind, Stream
from sensor_streams.incremental.transactions import apply, delete_by_key
from sensor_streams.inference.registry import LoadedModel
from sensor_streams.ingest.changed_files import changed_names
from sensor_streams.ingest.decide import LINE
from sensor_streams.ingest.landing_files import DONE, Landing, files_below, is_utf_8, lines_of_files
from sensor_streams.json_files import read_json, write_json
from sensor_streams.settings import Settings
from sensor_streams.streams import STREAMS
from sensor_streams.tables import Catalog

log = logging.getLogger("sensor_streams.erasure")

# File with the names of landed files whose counts change; deleted when the command ends.
JOURNAL = "erasure.json"


@dataclass
class Erased:
    """Result of an erasure: rows by table, rewritten files and lines, unreadable files, missing files."""

    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    lines: int = 0
    not_read: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def report(self) -> list[str]:
        """Return the report as lines; they do not name the device."""
        lines = [f"{name}: {count:,} rows erased" for name, count in self.rows.items()]
        lines.append(f"{self.lines:,} lines erased in {self.files} landed and archived files")
        if self.not_read:
            lines.append(
                f"not searched, because they cannot be read: {', '.join(self.not_read)}. Remove those that contain "
                "readings of the device"
            )
        if self.missing:
            lines.append(
                f"{len(self.missing)} files with its readings are neither in the landing folder nor in an archive, "
                f"such as {self.missing[0]}: if another folder has them, erase there too (--archive)"
            )
        lines.append(
            "Old versions of the tables and their change feeds contain the rows until VACUUM removes them: run the "
            "streams once, then `sensor-streams maintain` removes them after the retention time of "
            "replaced files"
        )
        lines.append(
            "Models that were trained with these rows stay in the registry: train again, then delete old versions"
        )
        return lines


def erase(
    catalog: Catalog,
    settings: Settings,
    fleet: Fleet,
    erasure: Erasure,
    champion: Callable[[ModelKind], LoadedModel | None],
    on_step: Callable[[str], None] = lambda _: None,
) -> Erased:
    """Erase the readings of a device, and recompute every table from the remaining readings.

    The caller holds the leases of all streams. Files come first, because a new checkpoint would read them again. A
    killed command can be repeated. champion: kind → model. on_step: called with the name of each step. Raises
    InputError for a file of the device that cannot be rewritten, before anything is changed; TableError without tables.
    """
    if not catalog.exists("readings"):
        raise TableError(
            f"nothing was erased: {catalog} has no table readings. Give the home and settings that the streams ran with"
        )
    report = Erased()
    on_step("landed files")
    roots = [Path(folder) for folder in (settings.landing, settings.archive) if folder is not None]
    sources = _sources(catalog, erasure)
    files = _files_to_write(sources, roots, erasure, report)
    journal = Path(settings.checkpoints) / "readings" / JOURNAL
    spark = catalog.spark
    known = read_json(journal)
    begun, changed = _names(known, "files"), _names(known, "changed")
    # No stream reads a file whose name is not UTF-8, so it has no counts.
    names = begun | {name for _, name in files if is_utf_8(name)}
    names |= sources
    report.missing = sorted(name for name in sources if not any((root / name).is_file() for root in roots))
    if catalog.exists("ingested_files"):
        # Files with lines that were not read. After the rewrite they cannot be recognised, so record them now.
        changed |= (changed_names(catalog.read("ingested_files"), roots) & names) - begun
    write_json(journal, {"files": sorted(names), "changed": sorted(changed)})
    keep_empty = position_of(Path(settings.checkpoints) / "readings").unfinished
    for file, _ in files:
        report.lines += remove_lines(file, erasure, keep_empty)
        report.files += 1
    with ERASE.on(spark):
        for table in ("readings", "readings_rejected"):
            if catalog.exists(table):
                on_step(f"table {table}")
                report.rows[table] = _delete_lines(catalog, table, erasure)
        _count_again(catalog, roots, names, changed)
        for stream in STREAMS:
            if not stream.sources or not catalog.exists(stream.name):
                continue
            on_step(f"table {stream.name}")
            before = _rows(catalog, stream.name, erasure)
            _derived(catalog, fleet, stream, erasure, champion)
            report.rows[stream.name] = max(0, before - _rows(catalog, stream.name, erasure))
        if catalog.exists(FAILURES.name):
            before = catalog.read(FAILURES.name).count()
            catalog.handle(FAILURES.name).delete(_condition(erasure, "failed_at"))
            report.rows[FAILURES.name] = before - catalog.read(FAILURES.name).count()
    for table in ("readings_rejected", "ingested_files", FAILURES.name, *(stream.name for stream in STREAMS)):
        if catalog.exists(table):
            on_step(f"files of {table}")
            # A deleted row is only marked in its file: rewrite those files, so that VACUUM can remove the old ones.
            spark.sql(f"REORG TABLE {catalog.full_name(table)} APPLY (PURGE)")
    journal.unlink(missing_ok=True)
    log.info("readings of a device were erased: %s; %d lines in files", report.rows, report.lines)
    return report


def _names(journal: Mapping[str, object] | None, part: str) -> set[str]:
    found = None if journal is None else journal.get(part)
    return set(map(str, found)) if isinstance(found, list) else set()


def _files_to_write(
    sources: set[str], roots: Iterable[Path], erasure: Erasure, report: Erased
) -> list[tuple[Path, str]]:
    """Return the files with a line to erase, each with its name. sources: names of files that must have one."""
    found: list[tuple[Path, str]] = []
    unreadable: list[str] = []
    for root in roots:
        for name, file in files_below(root):
            try:
                if has_lines_to_erase(file, erasure):
                    found.append((file, name))
            except UNREADABLE:
                (unreadable if name in sources else report.not_read).append(str(file))
    if unreadable:
        raise InputError(
            f"nothing was erased: {', '.join(unreadable)} has readings of the device and cannot be rewritten here. "
            "Remove the file, or rewrite it without them, then run the command again"
        )
    return found


def _condition(erasure: Erasure, time: str) -> Column:
    found = F.col("device_id") == erasure.device
    if erasure.low is not None:
        found &= F.col(time) >= F.lit(erasure.low)
    return found if erasure.high is None else found & (F.col(time) < F.lit(erasure.high))


def _rows(catalog: Catalog, table: str, erasure: Erasure) -> int:
    return catalog.read(table).where(F.col("device_id") == erasure.device).count()


def _to_delete(catalog: Catalog, table: str, erasure: Erasure) -> DataFrame:
    """Return the rows of `readings` or `readings_rejected` to erase."""
    rows = catalog.read(table)
    if table == "readings":
        return rows.where(_condition(erasure, "event_time"))

    def has_device(raw: str | None, raw_bytes: bytearray | None) -> bool:
        return erasure.concerns(bytes(raw_bytes) if raw_bytes is not None else (raw or "").encode("utf-8", "replace"))

    concerns = F.udf(has_device, "boolean")
    near = F.contains("raw", F.lit(erasure.device)) | F.contains("raw", F.lit("\\u"))
    return rows.where(near).where(concerns("raw", "raw_bytes"))


def _sources(catalog: Catalog, erasure: Erasure) -> set[str]:
    """Return the names of the files with rows to erase."""
    found: set[str] = set()
    for table in ("readings", "readings_rejected"):
        if catalog.exists(table):
            rows = _to_delete(catalog, table, erasure).select("source_file").distinct().collect()
            found |= {str(row["source_file"]) for row in rows}
    return found


def _delete_lines(catalog: Catalog, table: str, erasure: Erasure) -> int:
    rows = _to_delete(catalog, table, erasure).select(*LINE).distinct().localCheckpoint()
    count = rows.count()
    if not count:
        return 0
    handle = catalog.handle(table)
    if table == "readings":
        handle.delete(_condition(erasure, "event_time"))
    else:
        delete_by_key(handle, rows, LINE)
    return count


def _count_again(catalog: Catalog, roots: Sequence[Path], names: set[str], changed: set[str]) -> None:
    """Update the counts of files in `ingested_files`; delete the record of a file without lines.

    changed: files with lines that were not read; they keep their recorded size, so that they are still reported.
    """
    if not names or not catalog.exists("ingested_files"):
        return
    handle = catalog.handle("ingested_files")
    mine = F.col("source_file").isin(sorted(names)) & (F.col("state") == DONE)
    counts = {table: lines_of_files(catalog.read(table), sorted(names)) for table in ("readings", "readings_rejected")}
    new = []
    for row in handle.toDF().where(mine).collect():
        name, size, duplicates = row["source_file"], row["bytes"], row["duplicates"]
        accepted, rejected = counts["readings"].get(name, 0), counts["readings_rejected"].get(name, 0)
        place = next((root for root in roots if (root / name).is_file()), None)
        file = None if place is None else Landing.at(str(place)).file(name)
        if file is not None and place is not None and name not in changed:
            size, duplicates = file.size, max(0, line_count(place / name) - accepted - rejected)
        is_gone = file is None and not (accepted + rejected)
        values = {
            **row.asDict(),
            "bytes": size,
            "lines": accepted + rejected + duplicates,
            "accepted": accepted,
            "rejected": rejected,
            "duplicates": duplicates,
        }
        new.append((*values.values(), DELETE if is_gone else UPDATE))
    if new:
        fields = handle.toDF().schema
        columns = [(part.name, part.dataType.simpleString()) for part in fields]
        schema = ", ".join(f"`{name}` {kind}" for name, kind in [*columns, (OPERATION, "string")])
        changes = catalog.spark.createDataFrame(new, schema)
        apply(handle, changes, columns, ("source_file",), "true", None)


def _derived(
    catalog: Catalog,
    fleet: Fleet,
    stream: Stream,
    erasure: Erasure,
    champion: Callable[[ModelKind], LoadedModel | None],
) -> None:
    """Delete the rows of a whole device; for a range of times, recompute the rows from the remaining readings."""
    if erasure.whole:
        catalog.handle(stream.name).delete(F.col("device_id") == erasure.device)
        return
    if any(not catalog.exists(source) for source in stream.sources):
        return

    def model() -> LoadedModel:
        found = None if stream.model is None else champion(stream.model)
        if found is None:
            raise ModelError(
                f"{stream.name} cannot be recomputed: no {stream.model} model has the alias champion. Train one "
                "and run the command again, or erase the whole device"
            )
        return found

    batch = Batch(stream, fleet, Handles.of_stream(catalog, stream, fleet))
    stream.scope.rebuild_device(batch, erasure.device, model)
