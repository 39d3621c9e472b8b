"""What really lies at a location, read through Delta's own API; nothing is written."""

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
from sensor_streams.preflight.facts import Column, Commit, Damaged, Nothing, TableFacts, Unknown

# How many commits are looked at where no reader is further behind: those of a busy table's last hours.
NEWEST = 100
# Beyond this many it would take longer than a stream's start.
MOST = 5_000

_CONDITION = re.compile(r"\[([A-Z][A-Z0-9_]+)[.\]]")
_CONSTRAINT = "delta.constraints."
# Delta's words for a place without a table.
_NOTHING = ("DELTA_MISSING_DELTA_TABLE", "DELTA_TABLE_NOT_FOUND", "DELTA_PATH_DOES_NOT_EXIST")
# Its words for a log that is there and has lost files.
_DAMAGED = (
    "DELTA_VERSIONS_NOT_CONTIGUOUS",
    "DELTA_TRUNCATED_TRANSACTION_LOG",
    "DELTA_LOG_FILE_NOT_FOUND",
    "DELTA_MISSING_PART_FILES",
    "DELTA_STATE_RECOVER_ERROR",
)
Place = TableFacts | Nothing | Damaged | Unknown


def table_at(
    spark: SparkSession, location: str, unread: Mapping[str, int] | None = None, name: str | None = None
) -> Place:
    """The table at a location, as it is there and not as a catalog tells it.

    unread: table id → the version that the slowest reader has still to read; the history is read back to it. name: the
    name, checked and quoted, whose entry in the session's catalog leads there: who may read a table may not always
    read its path. What gives no answer is Unknown, with the cause.
    """
    try:
        table = DeltaTable.forPath(spark, location) if name is None else DeltaTable.forName(spark, name)
        return _facts(table, unread or {})
    except (PySparkException, Py4JError) as error:
        condition, cause = _told(error)
    if condition in _NOTHING:
        return _nothing(spark, location)
    if condition in _DAMAGED:
        return Damaged(location, cause)
    return Unknown(cause)


def writable_features(spark: SparkSession) -> frozenset[str] | Unknown:
    """The table features that this session's Delta knows, in lower case. Open-source Delta only tells them."""
    try:
        jvm: Any = spark._jvm
        features = getattr(getattr(jvm.org.apache.spark.sql.delta, "TableFeature$"), "MODULE$")
        names = features.allSupportedFeaturesMap().keySet().mkString(",")
    except (PySparkException, Py4JError, AttributeError, TypeError):
        return Unknown("this session's Delta does not tell which table features it can write")
    return frozenset(str(names).split(","))


def _facts(table: DeltaTable, unread: Mapping[str, int]) -> TableFacts:
    detail = table.detail().collect()[0]
    commits, earliest = _history(table, unread.get(str(detail["id"])))
    properties = {name: value for name, value in detail["properties"].items() if not name.startswith(_CONSTRAINT)}
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
        reader_version=int(detail["minReaderVersion"]),
        writer_version=int(detail["minWriterVersion"]),
        table_features=frozenset(detail["tableFeatures"] or ()),
        constraints={
            name.removeprefix(_CONSTRAINT): value
            for name, value in detail["properties"].items()
            if name.startswith(_CONSTRAINT)
        },
        transactions=transactions,
        history=commits,
    )


def _history(table: DeltaTable, back_to: int | None) -> tuple[list[Commit], int | Unknown]:
    """The newest commits, newest first, without one between them missing; and the first version of that row."""
    read = NEWEST
    commits = [_commit(row) for row in table.history(read).collect()]
    newest = commits[0].version
    if back_to is not None and len(commits) == read and back_to < commits[-1].version:
        read = newest - back_to + 1
        if read > MOST:
            return commits, Unknown(f"a stream is {read} versions behind, and no more than {MOST} are looked at")
        commits = [_commit(row) for row in table.history(read).collect()]
    # A file of the log that is gone leaves a hole in the history, and no error.
    whole = [commit for at, commit in enumerate(commits) if commit.version == newest - at]
    return whole, whole[-1].version


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
    """How much lies at a place of which Delta says that no table does; where nobody may look, nothing is counted."""
    try:
        names = names_at(spark, location)
        if names == ["_delta_log"]:
            # A log without a commit is what a creation leaves that was killed; the next one clears it away.
            log = names_at(spark, f"{location}/_delta_log")
            names = [name for name in log if not name.startswith((".", "_staged_commits"))]
    except MachineError:
        names = []
    return Nothing(location, len(names))


def _told(error: PySparkException | Py4JError) -> tuple[str, str]:
    """The condition of an error, and one line that says what is wrong."""
    text = str(error)
    if not isinstance(error, PySparkException):
        java = getattr(error, "java_exception", None)
        text = text if java is None else str(java.getMessage())
    line = text.strip().partition("\n")[0]
    found = _CONDITION.search(line)
    own = error.getCondition() if isinstance(error, PySparkException) else None
    return (own or (found[1] if found else "")).partition(".")[0], line or type(error).__name__
