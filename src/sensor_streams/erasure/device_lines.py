"""Find the lines of a device in files of readings, and remove them."""

import bz2
import gzip
import io
import json
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from sensor_streams.ingest.compression import codec, suffix

# Errors of the readers for a damaged file.
UNREADABLE = (OSError, EOFError, zlib.error, pa.ArrowException)


@dataclass(frozen=True)
class Erasure:
    """The readings to erase: one device, from `low` up to, not including, `high` (UTC; None = no limit)."""

    device: str
    low: datetime | None = None
    high: datetime | None = None

    @property
    def whole(self) -> bool:
        """Return True when all readings of the device are erased."""
        return self.low is None and self.high is None

    def concerns(self, line: bytes) -> bool:
        """Return True for a line to erase.

        A line without a readable time is erased only with the whole device. So is a line that is not a reading, when
        it contains the device's name as a word.
        """
        if self.device.encode() not in line and b"\\u" not in line:
            return False
        text = line.decode("utf-8", "replace").removeprefix("\ufeff")
        try:
            reading = json.loads(text)
        except (ValueError, RecursionError):
            reading = None
        if isinstance(reading, dict) and isinstance(reading.get("device_id"), str):
            return reading["device_id"] == self.device and self._within(reading.get("event_time"))
        word = rf"(?<![\w.-]){re.escape(self.device)}(?![\w-])"
        return self.whole and re.search(word, text) is not None

    def _within(self, time: object) -> bool:
        if self.whole:
            return True
        try:
            at = datetime.fromisoformat(str(time).upper())
        except ValueError:
            return False
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        return (self.low is None or at >= self.low) and (self.high is None or at < self.high)


def has_lines_to_erase(file: Path, erasure: Erasure) -> bool:
    """Return True when a file has a line to erase. Raises an error of UNREADABLE for a file that cannot be read."""
    with _opened(file, "rb") as lines:
        return any(erasure.concerns(line.rstrip(b"\r\n")) for line in _lines(lines))


def line_count(file: Path) -> int:
    """Return how many lines Spark reads from a file. Raises an error of UNREADABLE."""
    with _opened(file, "rb") as lines:
        return sum(1 for _ in _lines(lines))


def remove_lines(file: Path, erasure: Erasure, keep_empty: bool) -> int:
    """Remove the lines to erase from a file, atomically; return their number.

    The modification time stays, because it counts as the arrival of the lines. A file without other lines is
    deleted. With keep_empty it becomes empty instead, because an unfinished batch will read it again.
    """
    status = file.stat()
    new = file.with_name(f".{file.name}.erase")
    kept = erased = 0
    with _opened(file, "rb") as lines, _opened(new, "wb", file.name) as out:
        for line in _lines(lines):
            if erasure.concerns(line.rstrip(b"\r\n")):
                erased += 1
            else:
                kept += 1
                out.write(line)
    if kept:
        os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
        new.replace(file)
        return erased
    new.unlink()
    if keep_empty:
        os.truncate(file, 0)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        file.unlink()
    return erased


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines with their ends: LF, CR LF or CR, as Spark splits them."""
    for line in file:
        if b"\r" in line.rstrip(b"\r\n"):
            yield from re.findall(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", line)
        else:
            yield line


def _opened(file: Path, mode: str, name: str | None = None) -> Any:
    """Open a file with the codec of `name`, by default the file's own name."""
    name = file.name if name is None else name
    kind = codec(name)
    if kind == "gzip":
        return gzip.open(file, mode)
    if kind == "bz2":
        return bz2.open(file, mode)
    if kind == "zstd":
        if mode == "rb":
            # The stream of pyarrow cannot iterate over lines.
            return io.BufferedReader(pa.input_stream(str(file), "zstd"))
        return pa.output_stream(str(file), "zstd")
    if kind is not None or suffix(name) == "lzo":
        # Spark may read these formats, but this module cannot write them.
        raise OSError(f"{file}: .{suffix(name)} cannot be rewritten")
    return file.open(mode)
