"""Compressed files that cannot be read to their end."""

from collections.abc import Sequence
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from sensor_streams.errors import InputError

_CHUNK = 1 << 16


def damaged_files(spark: SparkSession, paths: Sequence[str]) -> dict[str, str]:
    """Those of the files that are compressed and cannot be decompressed to their end: path → reason.

    Each is read through the same codecs that Spark reads with, a chunk at a time. Where that fails, the bytes alone are
    read: only what can be read but not decoded is damage. Raises InputError for a file that cannot be read at all:
    storage that is away is no damage, and nothing may be set aside for it.
    """
    jvm: Any = spark._jvm
    if jvm is None:
        raise InputError("files cannot be checked: this session has no JVM of its own")
    codecs = jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(spark._jsc.hadoopConfiguration())
    found: dict[str, str] = {}
    for path in paths:
        codec = codecs.getCodec(jvm.org.apache.hadoop.fs.Path(path))
        if codec is None:
            continue
        problem = _problem(spark, path, codec)
        if problem is None:
            continue
        unreadable = _problem(spark, path, None)
        if unreadable is not None:
            raise InputError(f"{path}: cannot be read: {unreadable}")
        found[path] = f"damaged: {problem}"
    return found


def _problem(spark: SparkSession, path: str, codec: Any) -> str | None:
    """What goes wrong when the file is read to its end, through the codec or (None) as it is."""
    jvm: Any = spark._jvm
    address = jvm.org.apache.hadoop.fs.Path(path)
    try:
        raw = address.getFileSystem(spark._jsc.hadoopConfiguration()).open(address)
        try:
            # One call for the whole file; the bytes stay in the JVM and go nowhere.
            jvm.org.apache.hadoop.io.IOUtils.copyBytes(
                raw if codec is None else codec.createInputStream(raw),
                jvm.java.io.OutputStream.nullOutputStream(),
                _CHUNK,
                True,
            )
        finally:
            raw.close()
    except Py4JJavaError as error:
        return str(error.java_exception.getMessage() or error.java_exception.getClass().getSimpleName())
    except PySparkException as error:
        return next(iter(str(error).splitlines()), type(error).__name__)
    return None
