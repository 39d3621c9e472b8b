"""Errors for a table that cannot be opened although the catalog has an entry for it."""

import re

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from sensor_streams.errors import MachineError, TableError
from sensor_streams.hadoop_files import names_at

# Stands for the location of an entry when the catalog does not name it.
UNKNOWN_PLACE = "an unknown location"
# Errors of a table that cannot be opened; PySpark does not translate all of Delta's errors.
OPENING = (PySparkException, Py4JJavaError)
_LOG = "_delta_log"
_FILE_SYSTEM = ("java.io.", "java.nio.file.", "org.apache.hadoop.fs.")
_CONDITION = re.compile(r"\[(DELTA_\w+)")


def condition_of(error: Exception) -> str:
    """Return the error condition of Spark or Delta, or an empty text."""
    if isinstance(error, PySparkException):
        return error.getCondition() or ""
    if isinstance(error, Py4JJavaError):
        java = error.java_exception
        found = _CONDITION.match(str(java.getMessage()))
        name = str(java.getClass().getName())
        # An unknown file system, or one that does not answer: the data may exist.
        return found.group(1) if found else f"DELTA_{name.rsplit('.', 1)[-1]}" if name.startswith(_FILE_SYSTEM) else ""
    return ""


def cannot_open(spark: SparkSession, name: str, location: str, cause: str, usual: str | None) -> TableError:
    """Return the error for a table that has an entry and cannot be opened.

    usual: location of the table by the settings, None where the catalog decides. The error advises to drop the entry
    only when no data was found at either location: dropping the entry of existing data loses the data.
    """
    head = f"table {name}: its catalog entry says {location}, and"
    end = "Nothing was written."
    if location == UNKNOWN_PLACE:
        return TableError(f"{head} it cannot be opened ({cause}). {end} Find where its data is and correct the entry")
    try:
        names = names_at(spark, location, most=3)
        if _has_commits(spark, location, names):
            return TableError(
                f"{head} the Delta table there cannot be opened ({cause}). {end} Keep the entry and the data: run "
                "`sensor-streams preflight`, which reports the problem"
            )
        if names and names != [_LOG]:
            return TableError(
                f"{head} no Delta table is stored there, but other files are ({', '.join(sorted(names))}; {cause}). "
                f"{end} Find where the table's data is and correct the entry"
            )
        if usual is not None and _has_commits(spark, usual, names_at(spark, usual, most=3)):
            return TableError(
                f"{head} no Delta table is stored there ({cause}); one is stored at {usual}. {end} "
                "Correct the entry so that it names the right location"
            )
    except MachineError as error:
        return TableError(
            f"{head} it cannot be opened ({cause}). {end} Whether data is stored there is not known: {error}. "
            "Make the location readable, and keep the entry until then"
        )
    return TableError(
        f"{head} no Delta table is stored there ({cause}). {end} Find where the data is and correct the "
        "entry. If the data is lost for good, drop the entry and start again"
    )


def _has_commits(spark: SparkSession, location: str, names: list[str]) -> bool:
    if _LOG not in names and _LOG not in names_at(spark, location):
        return False
    log = names_at(spark, f"{location.rstrip('/')}/{_LOG}")
    return any(name[0].isdigit() or name == "_last_checkpoint" for name in log)
