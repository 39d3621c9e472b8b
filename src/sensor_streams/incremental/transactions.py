"""Writing to a Delta table so that a batch which is handed over twice is written once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from delta import exceptions
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from sensor_streams.incremental.commit_signature import Signature
from sensor_streams.incremental.difference import DELETE, INSERT, OPERATION, UPDATE
from sensor_streams.table_spec import Columns

_APP, _VERSION = "spark.databricks.delta.write.txnAppId", "spark.databricks.delta.write.txnVersion"

# What Delta raises when another writer was faster; none of these classes is a child of another.
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
    """How many rows a batch added to, changed in and took out of its table."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    @property
    def total(self) -> int:
        """Rows written in all."""
        return self.inserted + self.updated + self.deleted

    def __add__(self, other: "Writes") -> "Writes":
        """The writes of both."""
        return Writes(self.inserted + other.inserted, self.updated + other.updated, self.deleted + other.deleted)


class AlreadyCommittedError(Exception):
    """Delta left a write out, because it knows the transaction: the batch must look again what is left to write."""


@dataclass(frozen=True)
class BatchTransaction:
    """The transaction of one write: who writes (the checkpoint's query id and what it writes) and which batch.

    The id must come from the checkpoint: with a constant one, the first batches after a reset would be taken for
    old ones and be left out in silence. Two processes that write the same batch at once, a killed attempt whose
    last job still runs in the driver and its successor, conflict instead of both adding their rows.

    That a transaction is known does not mean that it wrote what this one would write: a file may have come whole, or
    the source may have moved on, since the attempt that was killed. So what is left out raises
    `AlreadyCommittedError`, and the batch is computed again from the tables as they are now: a twin finds that nothing
    is left, anything else is written in the next `turn`. (A hash of the rows in the id would let two twins with some
    rows in common through.)
    """

    app: str
    version: int
    turn: int = 0

    def of(self, table: str) -> "BatchTransaction":
        """The transaction of this batch's write to one of several tables."""
        return replace(self, app=f"{self.app}:{table}")

    def again(self) -> "BatchTransaction":
        """The transaction of what the batch still has to write after one was left out."""
        return replace(self, turn=self.turn + 1)

    @contextmanager
    def on(self, session: SparkSession) -> Iterator[None]:
        """Set the pair on the batch's own session, the only way in which it reaches a MERGE; unset it after."""
        app = f"{self.app}:{self.turn}" if self.turn else self.app
        session.conf.set(_APP, app)
        session.conf.set(_VERSION, str(self.version))
        try:
            with Signature(app, self.version).on(session):
                yield
        finally:
            session.conf.unset(_APP)
            session.conf.unset(_VERSION)


def _execute(merge: Any, session: SparkSession, once: BatchTransaction | None) -> None:
    """Run a merge.

    Raises AlreadyCommittedError when Delta knows its transaction: then it gives back no row of figures.
    """
    if once is None:
        merge.execute()
        return
    with once.on(session):
        figures = merge.execute()
    # Runtimes that give back nothing at all do not tell: there a write that is left out stays unseen.
    if figures is not None and figures.isEmpty():
        raise AlreadyCommittedError(f"transaction {once} is known")


def append(target: DeltaTable, rows: DataFrame, columns: Columns, once: BatchTransaction | None) -> None:
    """Add rows through a handle, which needs no name: a merge that matches nothing is an append.

    Raises AlreadyCommittedError when the transaction is known.
    """
    values = {f"`{name}`": f"s.`{name}`" for name, _ in columns}
    merge = target.alias("t").merge(rows.alias("s"), "false").whenNotMatchedInsert(values=dict(values))
    _execute(merge, rows.sparkSession, once)


def apply(
    target: DeltaTable,
    changes: DataFrame,
    columns: Columns,
    key: Sequence[str],
    condition: str,
    once: BatchTransaction | None,
) -> Writes:
    """Write what `difference` found, in one commit or, when there is nothing, in none.

    condition: SQL on alias `t` that holds for every stored row that the changes can match. Raises
    AlreadyCommittedError when the transaction is known.
    """
    changes = changes.localCheckpoint()
    counts = {row[OPERATION]: int(row["count"]) for row in changes.groupBy(OPERATION).count().collect()}
    writes = Writes(counts.get(INSERT, 0), counts.get(UPDATE, 0), counts.get(DELETE, 0))
    if not writes.total:
        return writes
    if writes.inserted == writes.total:
        append(target, changes, columns, once)
        return writes
    match = " AND ".join([f"t.`{k}` = s.`{k}`" for k in key] + [condition])
    values = {f"`{name}`": f"s.`{name}`" for name, _ in columns}
    merge = target.alias("t").merge(changes.alias("s"), match)
    if writes.deleted:
        merge = merge.whenMatchedDelete(f"s.{OPERATION} = '{DELETE}'")
    if writes.updated:
        merge = merge.whenMatchedUpdate(f"s.{OPERATION} = '{UPDATE}'", dict(values))
    if writes.inserted:
        merge = merge.whenNotMatchedInsert(f"s.{OPERATION} = '{INSERT}'", dict(values))
    _execute(merge, changes.sparkSession, once)
    return writes
