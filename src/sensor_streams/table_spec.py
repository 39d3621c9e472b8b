"""Specification and identity of a table; interface of a store of catalog entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import SparkSession

Columns = list[tuple[str, str]]

PROPERTIES = {
    # The change feed of each table drives the next stream.
    "delta.enableChangeDataFeed": "true",
    # Deletion vectors stay as the platform sets them: Databricks turns them on for new tables; open-source Delta lists
    # all files of such a table a second time at each read.
}


# Names of the tables with the figures of batches, one per task.
PROGRESS_PREFIX = "progress_"


@dataclass(frozen=True)
class TableSpec:
    """Table of a stream: name, columns in order (name, Spark SQL type), key and partition column."""

    name: str
    columns: Columns
    key: tuple[str, ...]
    partition: str | None = None


@dataclass(frozen=True)
class TableIdentity:
    """Identity of a table: full name, location, and the id that Delta assigned at its creation."""

    name: str
    location: str
    table_id: str


class Entries(Protocol):
    """Store of catalog entries, for a machine without a catalog that several sessions share."""

    def register(self, spark: SparkSession) -> None:
        """Add every entry to the session's catalog, without writing at any location."""

    def add(self, identity: TableIdentity, spark: SparkSession | None = None) -> None:
        """Store the entry of a new table; `spark`: the session that has it already."""

    def add_view(self, name: str, tables: Sequence[str]) -> None:
        """Store the entry of a view that unites tables; all names are `catalog.schema.table`."""

    def names(self) -> list[str]:
        """Return the names of all entries of tables."""

    def location(self, name: str) -> str | None:
        """Return the location of the entry `catalog.schema.table`, or None."""
