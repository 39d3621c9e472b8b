"""Say why a table cannot be opened though the catalog has an entry for it."""

import re

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from sensor_streams.errors import MachineError, TableError
from sensor_streams.hadoop_files import names_at

# Location of an entry whose location the catalog does not name.
UNKNOWN_PLACE = "an unknown place"
# What Spark raises when a table cannot be opened; PySpark does not translate all of Delta's errors.
OPENING = (PySparkException, Py4JJavaError)
_LOG = "_delta_log"
_FILE_SYSTEM = ("java.io.", "java.nio.file.", "org.apache.hadoop.fs.")
_CONDITION = re.compile(r"\[(DELTA_\w+)")


def condition_of(error: Exception) -> str:
    """Return the error's condition as Spark and Delta name it; empty when it has none."""
    if isinstance(error, PySparkException):
        return error.getCondition() or ""
    if isinstance(error, Py4JJavaError):
        java = error.java_exception
        found = _CONDITION.match(str(java.getMessage()))
        name = str(java.getClass().getName())
        # A file system that is not known or does not answer: nothing is known of the data.
        return found.group(1) if found else f"DELTA_{name.rsplit('.', 1)[-1]}" if name.startswith(_FILE_SYSTEM) else ""
    return ""


def cannot_open(spark: SparkSession, name: str, location: str, cause: str, usual: str | None) -> TableError:
    """Return the error for a table with an entry that cannot be opened.

    usual: where the table would be stored by the settings, None where the catalog decides. The advice to drop the entry
    is given only when nothing is stored there and nowhere else that is known: dropped entries of data that exists are
    how data is lost.
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
                "`sensor-streams preflight`, which says what is wrong with the table"
            )
        if names and names != [_LOG]:
            return TableError(
                f"{head} there is no Delta table there, but other files ({', '.join(sorted(names))}; {cause}). {end} "
                "Find where the table's data is and correct the entry"
            )
        if usual is not None and _has_commits(spark, usual, names_at(spark, usual, most=3)):
            return TableError(
                f"{head} there is no Delta table there ({cause}); a Delta table is stored at {usual}. {end} "
                "Correct the entry so that it names the right one"
            )
    except MachineError as error:
        return TableError(
            f"{head} it cannot be opened ({cause}). {end} Whether data is stored there is not known: {error}. "
            "Make the place readable, and keep the entry until then"
        )
    return TableError(
        f"{head} there is no Delta table there ({cause}). {end} Find where the data is and correct the "
        "entry. If the data is lost for good, drop the entry and start again"
    )


def _has_commits(spark: SparkSession, location: str, names: list[str]) -> bool:
    if _LOG not in names and _LOG not in names_at(spark, location):
        return False
    log = names_at(spark, f"{location.rstrip('/')}/{_LOG}")
    return any(name[0].isdigit() or name == "_last_checkpoint" for name in log)
