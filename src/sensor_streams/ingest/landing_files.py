"""Files in the landing folder: their names, the files of a batch, and their rows in `ingested_files`."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from posixpath import abspath, normpath
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from sensor_streams.errors import InputError

DONE, SET_ASIDE = "DONE", "SET_ASIDE"
NOT_UTF_8 = "the name is not UTF-8, and Java cannot open the file: rename it"

_SCHEME = r"^[A-Za-z][A-Za-z0-9+.-]*:"
# `file:///a` and `file:/a` are the same path; `abfss://container@account/a` keeps its two slashes.
_NO_HOST = r"^//(?=/)"
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class LandedFile:
    """A file: its address as Spark writes it, its name below the landing folder, arrival (UTC), bytes."""

    path: str
    name: str
    arrived_at: datetime
    size: int


class Counts(NamedTuple):
    """Lines of a file: lines = accepted + rejected + duplicates."""

    lines: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0


@dataclass(frozen=True)
class RecordedFile:
    """A row of `ingested_files`: arrival (UTC), bytes, counts, state, and when it was written."""

    arrived_at: datetime
    size: int
    counts: Counts
    state: str
    recorded_at: datetime | None = None

    def matches(self, file: LandedFile) -> bool:
        """Return True when the file has the recorded size and time. Sources give times in whole milliseconds."""
        return self.size == file.size and abs(self.arrived_at - file.arrived_at) < _MILLISECOND

    def has_new_time(self, file: LandedFile) -> bool:
        """Return True when the file's time changed after the file was read.

        A file with rejected lines keeps its first time in the table (see `arrival_dates`), so for such a file only a
        time after `recorded_at` counts. Two ways to read a time from storage may differ by a second.
        """
        difference = abs(self.arrived_at - file.arrived_at)
        if self.recorded_at is not None and file.arrived_at > self.recorded_at:
            return difference >= _MILLISECOND
        return not self.counts.rejected and difference >= timedelta(seconds=2)


@dataclass(frozen=True)
class Landing:
    """The landing folder: `address`, a path or an address with a scheme; `folder`, the same without the scheme."""

    address: str
    folder: str

    @classmethod
    def at(cls, landing: str) -> "Landing":
        """Return the folder of the settings, absolute and without `..`, as in the addresses of Spark's files."""
        scheme = re.match(_SCHEME, landing)
        if scheme is None:
            folder = abspath(landing)
            return cls(folder, folder)
        folder = normpath(re.sub(_NO_HOST, "", landing[scheme.end() :]))
        return cls(f"{scheme.group()}{folder}", folder)

    def name(self, path: str) -> str:
        """Return a file's name below the folder, from its address without encoding. Raises InputError."""
        plain = re.sub(_NO_HOST, "", re.sub(_SCHEME, "", path))
        start = self.folder.rstrip("/") + "/"
        if not plain.startswith(start):
            raise InputError(
                f"{path}: is not below the landing folder {self.address}: start the stream with the folder that its "
                "checkpoint was made for, or remove the checkpoint"
            )
        return plain[len(start) :]

    def name_of(self, address: Column) -> Column:
        """Return the name as a column, from the encoded address of each line (`_metadata.file_path`)."""
        decoded = F.url_decode(F.replace(address, F.lit("+"), F.lit("%2B")))
        plain = F.regexp_replace(F.regexp_replace(decoded, _SCHEME, ""), _NO_HOST, "")
        return F.substr(plain, F.lit(len(self.folder.rstrip("/")) + 2))

    def file(self, name: str) -> LandedFile | None:
        """Return the current file; None when it is gone, or when this machine has no path to the storage."""
        try:
            status = Path(self.folder, name).stat()
        except OSError:
            return None
        return self.landed(name, status)

    def landed(self, name: str, status: os.stat_result) -> LandedFile:
        """Return the file of that name with the given status."""
        # In whole milliseconds, as Spark's sources give it.
        arrived = datetime.fromtimestamp(status.st_mtime_ns // 1_000_000 / 1000, UTC)
        return LandedFile(f"{self.address.rstrip('/')}/{name}", name, arrived, status.st_size)

    def files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the name and status of each file that streams would read, as this machine sees them."""
        for name, path in files_below(self.folder):
            try:
                yield name, path.stat()
            except OSError:
                continue

    def skipped_by_sources(self) -> tuple[list[str], list[LandedFile]]:
        """Return files that Spark's sources skip: names of empty files, and files whose names are not UTF-8.

        Java cannot express such a name; here its bytes are escaped.
        """
        empty, not_utf_8 = [], []
        for name, status in self.files():
            if not is_utf_8(name):
                escaped = os.fsencode(name).decode("utf-8", "backslashreplace")
                not_utf_8.append(self.landed(escaped, status))
            elif not status.st_size:
                empty.append(name)
        return empty, not_utf_8


def files_below(folder: str | Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each file that streams would read below a folder: not those that begin with `.` or `_`."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        relative = Path(parent).relative_to(folder)
        for name in sorted(names):
            if not name.startswith((".", "_")):
                yield (relative / name).as_posix(), Path(parent, name)


def is_utf_8(name: str) -> bool:
    """Return True when a file's name is UTF-8 on disk. Python shows other bytes as lone surrogates."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def files_of_batch(
    listed: Sequence[LandedFile], empty: Sequence[str], landing: Landing, known: Mapping[str, RecordedFile]
) -> dict[str, LandedFile]:
    """Return the files of a batch by name: those that the source listed, and those that it misses.

    A source skips empty files and lists each path once. So files that were set aside or empty are looked up here: they
    may have been replaced under the same name. A file whose size and time match its record is left out.
    known: recorded rows of the listed and empty files, and of all that were set aside or empty.
    """
    found = {file.name: file for file in listed}
    waiting = [name for name, recorded in known.items() if recorded.state == SET_ASIDE or not recorded.size]
    for name in dict.fromkeys([*waiting, *empty]):
        file = None if name in found else landing.file(name)
        if file is not None and not (name in known and known[name].matches(file)):
            found[name] = file
    return found


def recorded_files(files: DataFrame, names: Sequence[str]) -> dict[str, RecordedFile]:
    """Return the rows of `ingested_files` for the named files, and for all that were set aside or empty."""
    wanted = F.col("source_file").isin(list(names)) | (F.col("state") == SET_ASIDE) | (F.col("bytes") == 0)
    return {row["source_file"]: recorded_file(row) for row in files.where(wanted).collect()}


def recorded_file(row: Row) -> RecordedFile:
    """Return a row of `ingested_files` as an object."""
    return RecordedFile(
        row["arrived_at"].astimezone(UTC),
        int(row["bytes"]),
        Counts(row["lines"], row["accepted"], row["rejected"], row["duplicates"]),
        row["state"],
        row["recorded_at"].astimezone(UTC),
    )


def lines_of_files(table: DataFrame, names: Sequence[str]) -> dict[str, int]:
    """Return how many rows of a table of lines came from each of the named files, without files that have none."""
    rows = table.where(F.col("source_file").isin(list(names))).groupBy("source_file").count()
    return {row["source_file"]: int(row["count"]) for row in rows.collect()}


def arrival_dates(files: Mapping[str, LandedFile], known: Mapping[str, RecordedFile]) -> Column:
    """Return a condition on `arrived_date` that holds for all rejected lines of these files.

    A rejected line keeps the date that its file had then. A restored copy of the file has another time.
    """
    spans = set()
    for file in files.values():
        dates = {file.arrived_at.date()} | ({known[file.name].arrived_at.date()} if file.name in known else set())
        spans.add((min(dates), max(dates)))
    single = [_date(low) for low, high in sorted(spans) if low == high]
    conditions = [f"arrived_date IN ({', '.join(single)})"] if single else []
    conditions += [f"arrived_date BETWEEN {_date(low)} AND {_date(high)}" for low, high in sorted(spans) if low < high]
    return F.expr(" OR ".join(conditions) or "false")


def _date(day: date) -> str:
    # Not strftime: that writes the year 999 with three digits.
    return f"DATE'{day.isoformat()}'"
