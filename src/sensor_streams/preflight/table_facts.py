"""Read stored tables through Delta's API. Nothing is written."""

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from delta.tables import DeltaTable
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import Row, SparkSession

from sensor_streams.errors import MachineError
from sensor_streams.hadoop_files import names_at
from sensor_streams.incremental.commit_signature import Signature
from sensor_streams.preflight.facts import Column, Commit, Damaged, Nothing, TableFacts, Unknown, split_properties

# Commits to read; more only if a reader is further behind.
MIN_COMMITS = 100
# Maximum of commits to read: more would delay the start of a stream too long.
MAX_COMMITS = 5_000

_CONDITION = re.compile(r"\[([A-Z][A-Z0-9_]+)[.\]]")
# Delta's error conditions for a path without a table, and for a log with missing files.
_NOTHING = ("DELTA_MISSING_DELTA_TABLE", "DELTA_TABLE_NOT_FOUND", "DELTA_PATH_DOES_NOT_EXIST")
_DAMAGED = (
    *("DELTA_VERSIONS_NOT_CONTIGUOUS", "DELTA_TRUNCATED_TRANSACTION_LOG", "DELTA_LOG_FILE_NOT_FOUND"),
    *("DELTA_MISSING_PART_FILES", "DELTA_STATE_RECOVER_ERROR"),
)


def table_at(
    spark: SparkSession, location: str, unread: Mapping[str, int] | None = None, name: str | None = None
) -> TableFacts | Nothing | Damaged | Unknown:
    """Return the table that is stored at a location; Unknown with the cause if it cannot be read.

    unread: table id → next version of the slowest reader; the history is read back to it. name: quoted name of the
    catalog entry that points to the location. The table is read by this name: reading its path may be forbidden.
    """
    try:
        table = DeltaTable.forPath(spark, location) if name is None else DeltaTable.forName(spark, name)
        return _facts(table, unread or {})
    except (PySparkException, Py4JError) as error:
        condition, cause = _condition(error)
    if condition in _NOTHING:
        return _nothing(spark, location)
    return Damaged(location, cause) if condition in _DAMAGED else Unknown(cause)


def writable_features(spark: SparkSession) -> frozenset[str] | Unknown:
    """Return the table features that this session's Delta supports, in lower case. Databricks has no such list."""
    try:
        jvm: Any = spark._jvm
        features = getattr(getattr(jvm.org.apache.spark.sql.delta, "TableFeature$"), "MODULE$")
        names = features.allSupportedFeaturesMap().keySet().mkString(",")
    except (PySparkException, Py4JError, AttributeError, TypeError):
        return Unknown("this session's Delta does not list the table features that it can write")
    return frozenset(str(names).split(","))


def _facts(table: DeltaTable, unread: Mapping[str, int]) -> TableFacts:
    detail = table.detail().collect()[0]
    commits, earliest = _history(table, unread.get(str(detail["id"])))
    properties, constraints = split_properties(detail["properties"])
    transactions: dict[str, int] = {}
    for commit in commits:
        if commit.app is not None and commit.app_version is not None:
            transactions[commit.app] = max(commit.app_version, transactions.get(commit.app, -1))
    return TableFacts(
        location=str(detail["location"]),
        table_id=str(detail["id"]),
        version=commits[0].version,
        earliest=earliest,
        columns=[Column(f.name, f.dataType.simpleString(), f.nullable) for f in table.toDF().schema.fields],
        partitions=list(detail["partitionColumns"]),
        properties=properties,
        table_features=frozenset(detail["tableFeatures"] or ()),
        constraints=constraints,
        transactions=transactions,
        history=commits,
    )


def _history(table: DeltaTable, back_to: int | None) -> tuple[list[Commit], int | Unknown]:
    """Return the newest consecutive commits, newest first, and the version of the earliest one."""
    commits = [_commit(row) for row in table.history(MIN_COMMITS).collect()]
    newest = commits[0].version
    if back_to is not None and len(commits) == MIN_COMMITS and back_to < commits[-1].version:
        number = newest - back_to + 1
        if number > MAX_COMMITS:
            return commits, Unknown(f"a stream is {number} versions behind, but only {MAX_COMMITS} are read")
        commits = [_commit(row) for row in table.history(number).collect()]
    # A missing log file leaves a gap in the history, without an error.
    consecutive = [commit for index, commit in enumerate(commits) if commit.version == newest - index]
    return consecutive, consecutive[-1].version


def _commit(row: Row) -> Commit:
    signature = Signature.read(row["userMetadata"])
    return Commit(
        version=int(row["version"]),
        at=row["timestamp"].astimezone(UTC).timestamp(),
        operation=str(row["operation"]),
        parameters={name: value for name, value in (row["operationParameters"] or {}).items() if value is not None},
        engine=str(row["engineInfo"] or ""),
        app=None if signature is None else signature.writer,
        app_version=None if signature is None else signature.batch,
        metrics=dict(row["operationMetrics"] or {}),
    )


def _nothing(spark: SparkSession, location: str) -> Nothing:
    """Count the names at a path without a table; 0 if the folder cannot be listed."""
    try:
        names = names_at(spark, location)
        if names == ["_delta_log"]:
            # A killed CREATE leaves a log without a commit, which the next CREATE removes.
            log = names_at(spark, f"{location}/_delta_log")
            names = [name for name in log if not name.startswith((".", "_staged_commits"))]
    except MachineError:
        names = []
    return Nothing(location, len(names))


def _condition(error: PySparkException | Py4JError) -> tuple[str, str]:
    """Return the condition of an error and the first line of its message."""
    text = str(error)
    if not isinstance(error, PySparkException):
        java = getattr(error, "java_exception", None)
        text = text if java is None else str(java.getMessage())
    line = text.strip().partition("\n")[0]
    found = _CONDITION.search(line)
    own = error.getCondition() if isinstance(error, PySparkException) else None
    return (own or (found[1] if found else "")).partition(".")[0], line or type(error).__name__
