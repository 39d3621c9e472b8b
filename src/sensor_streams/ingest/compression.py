"""Compressed forms of landed files: which Spark reads, and which only look as if it did."""

from contextlib import suppress

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from sensor_streams.hadoop_files import file_system
from sensor_streams.ingest.landing_files import LandedFile

# Spark takes the codec from the end of the name, in upper or lower case.
CODECS = {
    "gz": "gzip",
    "gzip": "gzip",
    "deflate": "deflate",
    "bz2": "bz2",
    "zst": "zstd",
    "zstd": "zstd",
    "lz4": "lz4",
    "snappy": "snappy",
}
# Read as plain text by Spark, line by line of compressed bytes.
_NOT_READ = {"xz", "lzma", "zip", "z", "7z", "rar", "br", "lz", "lzo", "tgz", "tbz", "tbz2", "txz", "tzst", "tar", "sz"}
# Codecs that read only the blocks that Hadoop writes.
BLOCKS = ("lz4", "snappy")
# Codecs that take bytes of another form for an empty file.
_SILENT = {"bz2", *BLOCKS}
# No deflate stream is denser than this; the other codecs have no such limit.
_DENSEST = 1032
_HEAD = 64


def suffix(name: str) -> str:
    """Return the end of a file's name, in lower case, without the dot; empty when the name has none."""
    base = name.rsplit("/", 1)[-1]
    return base.rsplit(".", 1)[-1].lower() if "." in base else ""


def codec(name: str) -> str | None:
    """Return the codec by which Spark reads a file of this name, None for plain text."""
    return CODECS.get(suffix(name))


def may_read_as_nothing(name: str) -> bool:
    """True when the codec of this name reads nothing, without an error, from bytes that are not of its form."""
    return suffix(name) in _SILENT


def could_hold_long_line(file: LandedFile, longest: int) -> bool:
    """True when the file's size allows a line of more than so many bytes."""
    kind = codec(file.name)
    if kind is None:
        return file.size > longest
    return kind not in ("gzip", "deflate") or file.size > longest // _DENSEST


def unread_form(spark: SparkSession, file: LandedFile) -> str | None:
    """Return why a file of this form cannot be read, None when it can be tried.

    Looks at the first bytes of those files only whose names ask for it.
    """
    end = suffix(file.name)
    if end in _NOT_READ:
        if _is_binary(_head(spark, file.path)):
            return f"compressed as .{end}, which Spark does not read: use .gz or .zst"
    elif end in BLOCKS and not _hadoop_block(_head(spark, file.path), file.size):
        return f"an ordinary .{end} file: Spark's codec reads only the blocks that Hadoop writes; use .gz or .zst"
    return None


def _head(spark: SparkSession, path: str) -> bytes:
    with suppress(Py4JJavaError):
        system, address = file_system(spark, path)
        stream = system.open(address)
        try:
            return bytes(stream.readNBytes(_HEAD))
        finally:
            stream.close()
    # That it cannot be opened is said when it is read.
    return b""


def _is_binary(head: bytes) -> bool:
    if any(byte < 9 or 13 < byte < 32 for byte in head):
        return True
    try:
        # A character may be cut at the end.
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start < len(head) - 3
    return False


def _hadoop_block(head: bytes, size: int) -> bool:
    """True when the first bytes can be a block's header: its length, then the length of its first compressed part."""
    if len(head) < 8:
        return not head.strip(b"\0")
    whole, part = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    return whole <= 64 << 20 and 0 < part <= size - 8
