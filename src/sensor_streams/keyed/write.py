"""Writing to a Delta table so that a batch which is handed over twice is written once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from sensor_streams.keyed.difference import DELETE, INSERT, OPERATION, UPDATE
from sensor_streams.tables import Columns

_APP, _VERSION = "spark.databricks.delta.write.txnAppId", "spark.databricks.delta.write.txnVersion"


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


@dataclass(frozen=True)
class Once:
    """The transaction of one write: who writes (the checkpoint's query id and what it writes) and which batch.

    The id must come from the checkpoint: with a constant one, the first batches after a reset would be taken for
    old ones and be left out in silence. Two processes that write the same batch at once, a killed attempt whose
    last job still runs in the driver and its successor, conflict instead of both adding their rows.
    """

    app: str
    version: int

    @contextmanager
    def on(self, session: SparkSession) -> Iterator[None]:
        """Set the pair on the batch's own session, the only way in which it reaches a MERGE; unset it after."""
        session.conf.set(_APP, self.app)
        session.conf.set(_VERSION, str(self.version))
        try:
            yield
        finally:
            session.conf.unset(_APP)
            session.conf.unset(_VERSION)


def append(target: DeltaTable, rows: DataFrame, columns: Columns, once: Once | None) -> None:
    """Add rows through a handle, which needs no name: a merge that matches nothing is an append."""
    values = {f"`{name}`": f"s.`{name}`" for name, _ in columns}
    merge = target.alias("t").merge(rows.alias("s"), "false").whenNotMatchedInsert(values=dict(values))
    if once is None:
        merge.execute()
        return
    with once.on(rows.sparkSession):
        merge.execute()


def apply(
    target: DeltaTable, changes: DataFrame, columns: Columns, key: Sequence[str], condition: str, once: Once | None
) -> Writes:
    """Write what `difference` found, in one commit or, when there is nothing, in none.

    condition: SQL on alias `t` that holds for every stored row that the changes can match.
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
    if once is None:
        merge.execute()
        return writes
    with once.on(changes.sparkSession):
        merge.execute()
    return writes
