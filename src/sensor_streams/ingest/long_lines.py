"""Lines that are too long to be held in memory: find out whether a file has one, a piece at a time."""

import io
import os
import zlib
from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
from pyspark.sql import SparkSession

from sensor_streams.hadoop_files import file_system
from sensor_streams.ingest.compression import BLOCKS, codec
from sensor_streams.ingest.landing_files import LandedFile, Landing

_PIECE = 1 << 20


def has_long_line(
    spark: SparkSession, landing: Landing, file: LandedFile, longest: int, lines: int, octets: int, most: int
) -> int | None:
    """Return the number of the first line of more than `longest` bytes, None when the file has none.

    lines, octets, most: how many lines the reader gave, with how many bytes in all and in the longest of them. Where
    they explain the size of the file no line was left out, and the file is not read again.
    """
    path = Path(landing.folder, file.name)
    here = path if path.is_file() else None
    try:
        if most <= longest and _explained(file, here, lines, octets):
            return None
        with closing(_pieces(spark, file, here)) as pieces:
            return first_long_line(pieces, longest)
    except (OSError, pa.ArrowException, zlib.error):
        # Bytes that Spark's codec takes (for nothing, or as an end) and this one does not: no line was seen there.
        return None


def first_long_line(pieces: Iterable[bytes], longest: int) -> int | None:
    """Return the number of the first line of more than `longest` bytes; no piece is as long as that."""
    line, length = 1, 0
    for piece in pieces:
        ends = [at for at in (piece.find(b"\n"), piece.find(b"\r")) if at >= 0]
        if length + (min(ends) if ends else len(piece)) > longest:
            return line
        if ends:
            length = len(piece) - 1 - max(piece.rfind(b"\n"), piece.rfind(b"\r"))
            line += piece.count(b"\n")
        else:
            length += len(piece)
    return None


def _explained(file: LandedFile, here: Path | None, lines: int, octets: int) -> bool:
    """True when the lines, their ends (one or two bytes each) and a byte-order mark make up the whole file."""
    kind = codec(file.name)
    if kind is None:
        return file.size - octets <= 2 * lines + 3
    if kind != "gzip" or here is None:
        return False
    with here.open("rb") as stream:
        stream.seek(-4, os.SEEK_END)
        # Size of the last member, without what goes beyond 32 bits: of a file of several members it explains nothing.
        rest = (int.from_bytes(stream.read(4), "little") - octets) % (1 << 32)
    return rest <= 2 * lines + 3


def _pieces(spark: SparkSession, file: LandedFile, here: Path | None) -> Generator[bytes]:
    """The decompressed content, a piece at a time."""
    kind = codec(file.name)
    if kind in BLOCKS:
        # Only Hadoop reads these; it gives them decompressed.
        here = kind = None
    with io.BufferedReader(_Hadoop(spark, file.path), _PIECE) if here is None else here.open("rb") as raw:
        if kind == "deflate":
            inflater = zlib.decompressobj()
            while not inflater.eof and (data := inflater.unconsumed_tail or raw.read(_PIECE)):
                yield inflater.decompress(data, _PIECE)
            return
        stream = pa.PythonFile(raw, mode="r")
        if kind is not None:
            stream = pa.CompressedInputStream(stream, kind)
        while piece := stream.read(_PIECE):
            yield piece


class _Hadoop(io.RawIOBase):
    """A file of any file system that Hadoop knows, to be read."""

    def __init__(self, spark: SparkSession, path: str) -> None:
        system, address = file_system(spark, path)
        self._stream = system.open(address)
        if codec(path) in BLOCKS:
            jvm: Any = spark._jvm
            factory = jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(spark._jsc.hadoopConfiguration())
            self._stream = factory.getCodecByName(codec(path)).createInputStream(self._stream)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = bytes(self._stream.readNBytes(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()
