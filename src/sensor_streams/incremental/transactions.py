"""Idempotent writes to Delta tables: a batch that is processed twice is written once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from delta import exceptions
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from sensor_streams.incremental.commit_signature import Signature
from sensor_streams.incremental.difference import DELETE, INSERT, OPERATION, UPDATE
from sensor_streams.incremental.small_rows import as_rows
from sensor_streams.table_spec import Columns

_APP, _VERSION = "spark.databricks.delta.write.txnAppId", "spark.databricks.delta.write.txnVersion"

# Errors of Delta for a concurrent writer; none of these classes is a child of another.
CONFLICTS = (
    exceptions.ConcurrentAppendException,
    exceptions.ConcurrentDeleteDeleteException,
    exceptions.ConcurrentDeleteReadException,
    exceptions.ConcurrentTransactionException,
    exceptions.ConcurrentWriteException,
    exceptions.DeltaConcurrentModificationException,
)


@dataclass(frozen=True)
class Writes:
    """Number of rows that were inserted, updated and deleted."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    @property
    def total(self) -> int:
        """Number of all rows written."""
        return self.inserted + self.updated + self.deleted

    def __add__(self, other: "Writes") -> "Writes":
        return Writes(self.inserted + other.inserted, self.updated + other.updated, self.deleted + other.deleted)


class AlreadyCommittedError(Exception):
    """Delta skipped a write because it knows the transaction: the batch must be computed again."""


@dataclass(frozen=True)
class BatchTransaction:
    """Transaction of one write for Delta's idempotent writes. app: id of the writer; version: number of the batch.

    The id must contain the checkpoint's query id: with a constant id, Delta would skip the first batches after a
    reset of the checkpoint. Two processes that write the same batch at the same time, such as a killed attempt whose
    last Spark job still runs and the next attempt, conflict instead of both adding rows.

    A known transaction may have written other rows than this one would, because files and sources change between two
    attempts. So a skipped write raises `AlreadyCommittedError`, the batch is computed again from the current tables,
    and the missing rows are written with the next `turn`. A hash of the rows cannot be the id: two attempts with some
    rows in common would both write.
    """

    app: str
    version: int
    turn: int = 0

    def of(self, table: str) -> "BatchTransaction":
        """Return the transaction of the write to one of several tables."""
        return replace(self, app=f"{self.app}:{table}")

    def again(self) -> "BatchTransaction":
        """Return the transaction for the rest of the batch, after Delta skipped this one."""
        return replace(self, turn=self.turn + 1)

    @contextmanager
    def on(self, session: SparkSession) -> Iterator[None]:
        """Set the transaction on the batch's session, since MERGE takes no options; unset it afterwards."""
        app = f"{self.app}:{self.turn}" if self.turn else self.app
        session.conf.set(_APP, app)
        session.conf.set(_VERSION, str(self.version))
        try:
            with Signature(app, self.version).on(session):
                yield
        finally:
            session.conf.unset(_APP)
            session.conf.unset(_VERSION)


def _execute(merge: Any, session: SparkSession, transaction: BatchTransaction | None) -> None:
    """Run a merge.

    Raises AlreadyCommittedError when Delta knows its transaction: then MERGE returns no row of metrics.
    """
    if transaction is None:
        merge.execute()
        return
    with transaction.on(session):
        figures = merge.execute()
    # On a runtime whose MERGE returns None, a skipped write is not detected.
    if figures is not None and figures.isEmpty():
        raise AlreadyCommittedError(f"transaction {transaction} is known")


def _same(key: Sequence[str]) -> str:
    """Return the condition of a merge of `s` into `t` by a key."""
    return " AND ".join(f"t.`{name}` = s.`{name}`" for name in key)


def append(target: DeltaTable, rows: DataFrame, columns: Columns, transaction: BatchTransaction | None) -> None:
    """Append rows through a table handle, by a merge that matches no row.

    Raises AlreadyCommittedError when the transaction is known.
    """
    values = {f"`{name}`": f"s.`{name}`" for name, _ in columns}
    merge = target.alias("t").merge(rows.alias("s"), "false").whenNotMatchedInsert(values=dict(values))
    _execute(merge, rows.sparkSession, transaction)


def delete_by_key(target: DeltaTable, keys: DataFrame, key: Sequence[str]) -> None:
    """Delete the rows with the same values in the columns `key` as a row of `keys`. A null matches no row."""
    target.alias("t").merge(keys.alias("s"), _same(key)).whenMatchedDelete().execute()


def apply(
    target: DeltaTable,
    changes: DataFrame,
    columns: Columns,
    key: Sequence[str],
    condition: str,
    transaction: BatchTransaction | None,
    *,
    is_small: bool = False,
) -> Writes:
    """Write the result of `difference` in one commit; no commit for no rows.

    condition: SQL on alias `t`, true for every stored row that the changes can match. is_small: the changes fit on the
    driver, which saves Spark jobs. Raises AlreadyCommittedError when the transaction is known.
    """
    if is_small:
        table = changes.toArrow()
        counts = {pair["values"]: pair["counts"] for pair in table[OPERATION].value_counts().to_pylist()}
        changes = as_rows(table, changes)
    else:
        changes = changes.localCheckpoint()
        counts = {row[OPERATION]: int(row["count"]) for row in changes.groupBy(OPERATION).count().collect()}
    writes = Writes(counts.get(INSERT, 0), counts.get(UPDATE, 0), counts.get(DELETE, 0))
    if not writes.total:
        return writes
    if writes.inserted == writes.total:
        append(target, changes, columns, transaction)
        return writes
    match = " AND ".join([_same(key), condition])
    values = {f"`{name}`": f"s.`{name}`" for name, _ in columns}
    merge = target.alias("t").merge(changes.alias("s"), match)
    if writes.deleted:
        merge = merge.whenMatchedDelete(f"s.{OPERATION} = '{DELETE}'")
    if writes.updated:
        merge = merge.whenMatchedUpdate(f"s.{OPERATION} = '{UPDATE}'", dict(values))
    if writes.inserted:
        merge = merge.whenNotMatchedInsert(f"s.{OPERATION} = '{INSERT}'", dict(values))
    _execute(merge, changes.sparkSession, transaction)
    return writes
