"""Compressed files that cannot be read to their end."""

from collections.abc import Sequence

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from sensor_streams.errors import InputError

_CHUNK = 1 << 16
# What decoders raise for content they cannot decode; anything else is a problem of the storage.
_DAMAGE = (
    "java.io.EOFException",
    "java.util.zip.ZipException",
    "java.util.zip.DataFormatException",
    "java.lang.InternalError",
    "com.github.luben.zstd.ZstdIOException",
)


def damaged_files(spark: SparkSession, paths: Sequence[str]) -> dict[str, str]:
    """Those of the files that are compressed and cannot be decompressed to their end: path → reason.

    Each is read through the same codecs that Spark reads with, a chunk at a time. Raises InputError for a file that
    cannot be read at all: storage that is away is no damage, and nothing may be set aside for it.
    """
    jvm = spark._jvm
    if jvm is None:
        raise InputError("files cannot be checked: this session has no JVM of its own")
    configuration = spark._jsc.hadoopConfiguration()
    codecs = jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(configuration)
    found: dict[str, str] = {}
    for path in paths:
        address = jvm.org.apache.hadoop.fs.Path(path)
        codec = codecs.getCodec(address)
        if codec is None:
            continue
        reason = _read_to_end(spark, address, codec, path)
        if reason is not None:
            found[path] = reason
    return found


def _read_to_end(spark: SparkSession, address: object, codec: object, path: str) -> str | None:
    jvm = spark._jvm
    assert jvm is not None
    try:
        raw = address.getFileSystem(spark._jsc.hadoopConfiguration()).open(address)  # type: ignore[attr-defined]
    except Py4JJavaError as error:
        raise InputError(f"{path}: cannot be opened: {_message(error)}") from None
    try:
        # One call for the whole file: null output, and the stream is closed in any case.
        jvm.org.apache.hadoop.io.IOUtils.copyBytes(
            codec.createInputStream(raw),  # type: ignore[attr-defined]
            jvm.java.io.OutputStream.nullOutputStream(),
            _CHUNK,
            True,
        )
    except Py4JJavaError as error:
        name = error.java_exception.getClass().getName()
        if name in _DAMAGE or (name == "java.io.IOException" and _is_codec_message(_message(error))):
            return f"damaged: {_message(error)}"
        raise InputError(f"{path}: cannot be read: {_message(error)}") from None
    finally:
        raw.close()
    return None


def _is_codec_message(message: str) -> bool:
    words = ("gzip", "bzip", "stored gzip", "crc", "block", "header", "incorrect", "unexpected end", "compressed")
    return any(word in message.lower() for word in words)


def _message(error: Py4JJavaError) -> str:
    text = error.java_exception.getMessage()
    return str(text or error.java_exception.getClass().getSimpleName())
