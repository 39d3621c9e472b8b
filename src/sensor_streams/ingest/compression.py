"""Compression of landed files: formats that Spark reads, and formats that it reads wrongly without an error."""

from contextlib import suppress

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from sensor_streams.hadoop_files import file_system
from sensor_streams.ingest.landing_files import LandedFile

# Spark chooses the codec by the suffix of the name, in upper or lower case.
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
# Spark reads these as plain text: lines of compressed bytes.
_NOT_READ = {"xz", "lzma", "zip", "z", "7z", "rar", "br", "lz", "lzo", "tgz", "tbz", "tbz2", "txz", "tzst", "tar", "sz"}
# Codecs that read only Hadoop's own block format.
BLOCKS = ("lz4", "snappy")
# Codecs that read bytes of another format as an empty file, without an error.
_SILENT = {"bz2", *BLOCKS}
# Highest compression ratio of deflate; the other codecs have no such limit.
_DEFLATE_RATIO = 1032
_HEAD = 64


def suffix(name: str) -> str:
    """Return the suffix of a file's name, in lower case and without the dot; empty when it has none."""
    base = name.rsplit("/", 1)[-1]
    return base.rsplit(".", 1)[-1].lower() if "." in base else ""


def codec(name: str) -> str | None:
    """Return the codec with which Spark reads a file of this name, None for plain text."""
    return CODECS.get(suffix(name))


def may_read_as_empty(name: str) -> bool:
    """Return True when the codec for this name reads another format as an empty file, without an error."""
    return suffix(name) in _SILENT


def could_hold_long_line(file: LandedFile, longest: int) -> bool:
    """Return True when the file is large enough for a line of more than `longest` bytes."""
    kind = codec(file.name)
    if kind is None:
        return file.size > longest
    return kind not in ("gzip", "deflate") or file.size > longest // _DEFLATE_RATIO


def unsupported_format(spark: SparkSession, file: LandedFile) -> str | None:
    """Return why Spark cannot read a file's format, None when it may.

    Reads the first bytes of the file, only for the suffixes that need it.
    """
    end = suffix(file.name)
    if end in _NOT_READ:
        if _is_binary(_head(spark, file.path)):
            return f"compressed as .{end}, which Spark does not read: use .gz or .zst"
    elif end in BLOCKS and not _is_hadoop_block(_head(spark, file.path), file.size):
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
    # The batch reports a file that cannot be opened when it reads it.
    return b""


def _is_binary(head: bytes) -> bool:
    if any(byte < 9 or 13 < byte < 32 for byte in head):
        return True
    try:
        # The last character may be cut.
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start < len(head) - 3
    return False


def _is_hadoop_block(head: bytes, size: int) -> bool:
    """Return True when the bytes can begin a block: its length, then the length of its first compressed part."""
    if len(head) < 8:
        return not head.strip(b"\0")
    whole, part = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    return whole <= 64 << 20 and 0 < part <= size - 8
