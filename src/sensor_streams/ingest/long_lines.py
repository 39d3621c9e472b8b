"""Find lines that are too long for memory, by reading a file in pieces."""

import io
import os
import zlib
from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from sensor_streams.hadoop_files import file_system
from sensor_streams.ingest.compression import BLOCKS, codec
from sensor_streams.ingest.landing_files import LandedFile, Landing

_PIECE = 1 << 20


def first_long_line_of(
    spark: SparkSession, landing: Landing, file: LandedFile, longest: int, lines: int, octets: int, longest_read: int
) -> int | None:
    """Return the number of the first line of more than `longest` bytes, None when the file has none.

    lines, octets, longest_read: number of lines that Spark read, their total bytes, and the bytes of the longest. When
    they explain the file's size, Spark dropped no line and the file is not read again.
    """
    path = Path(landing.folder, file.name)
    local = path if path.is_file() else None
    try:
        if longest_read <= longest and _explains_size(file, local, lines, octets):
            return None
        with closing(_pieces(spark, file, local)) as pieces:
            return first_long_line(pieces, longest)
    except (OSError, pa.ArrowException, zlib.error):
        # Spark's codec ignores the bytes that this codec refuses, so they contain no line.
        return None


def first_long_line(pieces: Iterable[bytes], longest: int) -> int | None:
    """Return the number of the first line of more than `longest` bytes; each piece must be shorter than that."""
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


def _explains_size(file: LandedFile, local: Path | None, lines: int, octets: int) -> bool:
    """Return True when the lines, their ends (one or two bytes each) and a byte-order mark make up the file."""
    kind = codec(file.name)
    if kind is None:
        return file.size - octets <= 2 * lines + 3
    if kind != "gzip" or local is None:
        return False
    with local.open("rb") as stream:
        stream.seek(-4, os.SEEK_END)
        # Size of the last member modulo 2^32. With several members it does not match, and the file is read again.
        rest = (int.from_bytes(stream.read(4), "little") - octets) % (1 << 32)
    return rest <= 2 * lines + 3


def _pieces(spark: SparkSession, file: LandedFile, local: Path | None) -> Generator[bytes]:
    """Yield the decompressed content in pieces."""
    kind = codec(file.name)
    if kind in BLOCKS:
        # Only Hadoop reads these, and `_HadoopFile` decompresses them.
        local = kind = None
    with io.BufferedReader(_HadoopFile(spark, file.path), _PIECE) if local is None else local.open("rb") as raw:
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


class _HadoopFile(io.RawIOBase):
    """A readable file of any file system that Hadoop supports."""

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
