"""Compressed files that cannot be read to their end."""

from collections.abc import Callable, Sequence
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from sensor_streams.errors import InputError
from sensor_streams.hadoop_files import file_system
from sensor_streams.ingest.compression import codec

_CHUNK = 1 << 16
_ERRORS = (PySparkException, Py4JJavaError)


def damaged_files(spark: SparkSession, paths: Sequence[str], read: Callable[[Sequence[str]], None]) -> dict[str, str]:
    """Return those of the files that are compressed and cannot be decompressed to their end: path → reason.

    read: reads files to their end, with the reader that the batch uses: another one would know other codecs. Files are
    halved until each failing one stands alone. Then its bytes alone are read: only what can be read but not decoded is
    damage. Raises InputError for a file that cannot be read at all: storage that is away is no damage, and nothing may
    be set aside for it.
    """
    found: dict[str, str] = {}
    for path, error in _failing(paths, read).items():
        if codec(path) is None:
            continue
        unreadable = _problem(spark, path)
        if unreadable is not None:
            raise InputError(f"{path}: cannot be read: {unreadable}")
        found[path] = f"damaged: {_cause(error)}"
    return found


def _failing(paths: Sequence[str], read: Callable[[Sequence[str]], None]) -> dict[str, Exception]:
    """Return the files that fail when they are read alone, of files that failed together."""
    found: dict[str, Exception] = {}
    half = (len(paths) + 1) // 2
    for part in (paths[:half], paths[half:]):
        if not part:
            continue
        try:
            read(part)
        except _ERRORS as error:
            found |= {part[0]: error} if len(part) == 1 else _failing(part, read)
    return found


def _cause(error: Exception) -> str:
    """Return what the innermost Java error says."""
    java: Any = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    said = ""
    while java is not None:
        said = str(java.getMessage() or java.getClass().getSimpleName())
        java = java.getCause()
    return next(iter((said or str(error)).splitlines()), type(error).__name__)


def _problem(spark: SparkSession, path: str) -> str | None:
    """Return what goes wrong when the file's bytes are read as they are."""
    jvm: Any = spark._jvm
    try:
        system, address = file_system(spark, path)
        raw = system.open(address)
        # One call for the whole file; the bytes stay in the JVM and go nowhere.
        jvm.org.apache.hadoop.io.IOUtils.copyBytes(raw, jvm.java.io.OutputStream.nullOutputStream(), _CHUNK, True)
    except Py4JJavaError as error:
        return str(error.java_exception.getMessage() or error.java_exception.getClass().getSimpleName())
    except PySparkException as error:
        return next(iter(str(error).splitlines()), type(error).__name__)
    return None
