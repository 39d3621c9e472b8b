"""Find the compressed files that cannot be decompressed."""

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


def corrupt_files(spark: SparkSession, paths: Sequence[str], read: Callable[[Sequence[str]], None]) -> dict[str, str]:
    """Return the compressed files that cannot be decompressed to their end: path → reason.

    read: reads files to their end with the batch's own reader, because other readers know other codecs. The list is
    halved until each failing file is alone. A file is corrupt when its bytes can be read but not decompressed. Raises
    InputError when the bytes cannot be read: storage may be unavailable, so no file is set aside.
    """
    found: dict[str, str] = {}
    for path, error in _failing(paths, read).items():
        if codec(path) is None:
            continue
        storage_error = _read_error(spark, path)
        if storage_error is not None:
            raise InputError(f"{path}: cannot be read: {storage_error}")
        found[path] = f"damaged: {_cause(error)}"
    return found


def _failing(paths: Sequence[str], read: Callable[[Sequence[str]], None]) -> dict[str, Exception]:
    """Return the files that fail when they are read alone, with their errors."""
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
    """Return the message of the innermost Java error."""
    java: Any = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    message = ""
    while java is not None:
        message = str(java.getMessage() or java.getClass().getSimpleName())
        java = java.getCause()
    return next(iter((message or str(error)).splitlines()), type(error).__name__)


def _read_error(spark: SparkSession, path: str) -> str | None:
    """Read the file's bytes without decompression; return the error's message, None without an error."""
    jvm: Any = spark._jvm
    try:
        system, address = file_system(spark, path)
        raw = system.open(address)
        # One call for the whole file, so that its bytes stay in the JVM.
        jvm.org.apache.hadoop.io.IOUtils.copyBytes(raw, jvm.java.io.OutputStream.nullOutputStream(), _CHUNK, True)
    except Py4JJavaError as error:
        return str(error.java_exception.getMessage() or error.java_exception.getClass().getSimpleName())
    except PySparkException as error:
        return next(iter(str(error).splitlines()), type(error).__name__)
    return None
