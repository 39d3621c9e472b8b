"""The files of a batch: their names below the landing folder, the empty ones, and those that came whole later."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from posixpath import abspath, normpath

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from sensor_streams.errors import InputError

DONE, SET_ASIDE = "DONE", "SET_ASIDE"
NOT_UTF_8 = "the name is not UTF-8, and Java cannot open the file: rename it"

_SCHEME = r"^[A-Za-z][A-Za-z0-9+.-]*:"
# `file:///a` and `file:/a` are the same place; `abfss://container@account/a` keeps its two slashes.
_NO_HOST = r"^//(?=/)"


@dataclass(frozen=True)
class LandedFile:
    """A file of a batch: its address as Spark names it, its name below the landing folder, arrival (UTC), bytes."""

    path: str
    name: str
    arrived_at: datetime
    size: int


@dataclass(frozen=True)
class Recorded:
    """What `ingested_files` holds of a file: arrival (UTC), bytes, (lines, accepted, rejected, duplicates), state."""

    arrived_at: datetime
    size: int
    counts: tuple[int, int, int, int]
    state: str
    recorded_at: datetime | None = None

    @property
    def lines(self) -> int:
        """How many lines it held."""
        return self.counts[0]

    def of(self, arrived_at: datetime, size: int) -> bool:
        """True when it was recorded of the file as it is now. Sources tell times in whole milliseconds."""
        return self.size == size and abs(self.arrived_at - arrived_at) < timedelta(milliseconds=1)

    def touched(self, arrived_at: datetime) -> bool:
        """True when the file has another time than it had when it was read.

        Where lines were rejected the first time of the file stays recorded (see `arrival_dates`), so only a time after
        the last reading counts. Between two ways to look at storage a time may differ by a second.
        """
        apart = abs(self.arrived_at - arrived_at)
        if self.recorded_at is not None and arrived_at > self.recorded_at:
            return apart >= timedelta(milliseconds=1)
        return not self.counts[2] and apart >= timedelta(seconds=2)


@dataclass(frozen=True)
class Landing:
    """The landing folder: a path of this machine, or an address with a scheme; `folder` is it without the scheme."""

    address: str
    folder: str

    @classmethod
    def at(cls, landing: str) -> "Landing":
        """The folder of the settings, made absolute and without `..`, as Spark makes the addresses of its files."""
        scheme = re.match(_SCHEME, landing)
        if scheme is None:
            folder = abspath(landing)
            return cls(folder, folder)
        folder = normpath(re.sub(_NO_HOST, "", landing[scheme.end() :]))
        return cls(f"{scheme.group()}{folder}", folder)

    def name(self, path: str) -> str:
        """A file's name below the folder, by its address without encoding. Raises InputError when it is not there."""
        place = re.sub(_NO_HOST, "", re.sub(_SCHEME, "", path))
        start = self.folder.rstrip("/") + "/"
        if not place.startswith(start):
            raise InputError(
                f"{path}: is not below the landing folder {self.address}: start the stream with the folder that its "
                "checkpoint was made for, or remove the checkpoint"
            )
        return place[len(start) :]

    def name_of(self, address: Column) -> Column:
        """The same for the encoded addresses that Spark gives with each line (`_metadata.file_path`)."""
        plain = F.url_decode(F.replace(address, F.lit("+"), F.lit("%2B")))
        place = F.regexp_replace(F.regexp_replace(plain, _SCHEME, ""), _NO_HOST, "")
        return F.substr(place, F.lit(len(self.folder.rstrip("/")) + 2))

    def file(self, name: str) -> LandedFile | None:
        """The file as it is now; None when it is gone, or on storage that has no path on this machine."""
        try:
            status = Path(self.folder, name).stat()
        except OSError:
            return None
        return self.landed(name, status)

    def landed(self, name: str, status: os.stat_result) -> LandedFile:
        """Return the file of that name with the given status."""
        # In whole milliseconds, as Spark's sources tell it.
        arrived = datetime.fromtimestamp(status.st_mtime_ns // 1_000_000 / 1000, UTC)
        return LandedFile(f"{self.address.rstrip('/')}/{name}", name, arrived, status.st_size)

    def files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the name and status of each file that streams would read, as this machine sees them."""
        for name, path in files_below(self.folder):
            try:
                yield name, path.stat()
            except OSError:
                continue

    def left_out(self) -> tuple[list[str], list[LandedFile]]:
        """Return what sources leave out: names of files without content, and files whose names are not UTF-8.

        Java has no form for such a name and passes the file over. Here it is written with escapes.
        """
        empty, strange = [], []
        for name, status in self.files():
            if not is_utf_8(name):
                shown = os.fsencode(name).decode("utf-8", "backslashreplace")
                strange.append(self.landed(shown, status))
            elif not status.st_size:
                empty.append(name)
        return empty, strange


def files_below(folder: str | Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each file that streams would read below a folder: none that begins with `.` or `_`."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        here = Path(place).relative_to(folder)
        yield from (
            ((here / name).as_posix(), Path(place, name)) for name in sorted(names) if not name.startswith((".", "_"))
        )


def is_utf_8(name: str) -> bool:
    """True when a file's name is UTF-8 on disk: other bytes stand in it as lone surrogates."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def files_of_batch(
    listed: Sequence[LandedFile], empty: Sequence[str], landing: Landing, known: Mapping[str, Recorded]
) -> dict[str, LandedFile]:
    """name → file: those that the source hands over, and those that it leaves out.

    Sources leave out empty files, and someone may wait for what is in them. They never hand over again a path that
    they know, so a file that was set aside, or was empty, and came whole under the same name is looked for here.
    empty: the files without content. known: what is recorded of these and the listed files, and of all that were set
    aside or empty; what has the time and size that are recorded is left out.
    """
    found = {file.name: file for file in listed}
    aside = [name for name, recorded in known.items() if recorded.state == SET_ASIDE or not recorded.size]
    for name in dict.fromkeys([*aside, *empty]):
        file = None if name in found else landing.file(name)
        if file is not None and not (name in known and known[name].of(file.arrived_at, file.size)):
            found[name] = file
    return found


def recorded_files(files: DataFrame, names: Sequence[str]) -> dict[str, Recorded]:
    """What `ingested_files` holds of the named files, and of all that were set aside or empty."""
    wanted = F.col("source_file").isin(list(names)) | (F.col("state") == SET_ASIDE) | (F.col("bytes") == 0)
    return {row["source_file"]: recorded_of(row) for row in files.where(wanted).collect()}


def lines_of_files(table: DataFrame, names: Sequence[str]) -> dict[str, int]:
    """Return how many rows of a table of lines came from each of the named files; no entry for none."""
    rows = table.where(F.col("source_file").isin(list(names))).groupBy("source_file").count()
    return {row["source_file"]: int(row["count"]) for row in rows.collect()}


def recorded_of(row: Row) -> Recorded:
    """Return what a row of `ingested_files` says."""
    return Recorded(
        row["arrived_at"].astimezone(UTC),
        int(row["bytes"]),
        (row["lines"], row["accepted"], row["rejected"], row["duplicates"]),
        row["state"],
        row["recorded_at"].astimezone(UTC),
    )


def arrival_dates(files: Mapping[str, LandedFile], known: Mapping[str, Recorded]) -> Column:
    """True for the values of `arrived_date` that rejected lines of these files can have.

    That is the date of the file's time, or one of those that it had before: a folder that was restored has new ones.
    """
    spans = set()
    for file in files.values():
        dates = {file.arrived_at.date()} | ({known[file.name].arrived_at.date()} if file.name in known else set())
        spans.add((min(dates), max(dates)))
    single = [_date(low) for low, high in sorted(spans) if low == high]
    there = [f"arrived_date IN ({', '.join(single)})"] if single else []
    there += [f"arrived_date BETWEEN {_date(low)} AND {_date(high)}" for low, high in sorted(spans) if low < high]
    return F.expr(" OR ".join(there) or "false")


def _date(day: date) -> str:
    # Not strftime: that writes the year 999 with three digits.
    return f"DATE'{day.isoformat()}'"
