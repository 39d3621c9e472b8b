"""Files in any file system that Spark can read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from sensor_streams.errors import MachineError


def names_at(spark: SparkSession, location: str, most: int | None = None) -> list[str]:
    """Return names in a folder, at most `most`; an empty list for a missing folder.

    Raises MachineError when the file system does not answer.
    """
    with _translated(spark, location) as (system, path):
        if not system.exists(path):
            return []
        return [str(status.getPath().getName()) for status in list(system.listStatus(path))[:most]]


def remove_at(spark: SparkSession, location: str) -> None:
    """Remove a folder with its content. Raises MachineError when the file system does not answer."""
    with _translated(spark, location) as (system, path):
        system.delete(path, True)


def file_system(spark: SparkSession, location: str) -> tuple[Any, Any]:
    """Return Hadoop's file system and path object of a location; errors are those of Java.

    Raises MachineError for a session without a JVM of its own.
    """
    jvm: Any = spark._jvm
    if jvm is None:
        raise MachineError(f"{location}: cannot be read: this session has no JVM of its own")
    path = jvm.org.apache.hadoop.fs.Path(location)
    return path.getFileSystem(spark._jsc.hadoopConfiguration()), path


@contextmanager
def _translated(spark: SparkSession, location: str) -> Iterator[tuple[Any, Any]]:
    """Yield the result of `file_system`; raise errors of Java and Spark as MachineError."""
    try:
        yield file_system(spark, location)
    except Py4JJavaError as error:
        cause = str(error.java_exception.getMessage()).partition("\n")[0]
        raise MachineError(f"{location}: cannot be read: {cause}") from None
    except PySparkException as error:
        cause = str(error).partition("\n")[0]
        raise MachineError(f"{location}: cannot be read: {cause}") from None
