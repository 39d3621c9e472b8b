"""Specification and identity of a table, and where entries of tables are kept outside of Spark."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import SparkSession

Columns = list[tuple[str, str]]

PROPERTIES = {
    # The change feed of each table drives the next stream.
    "delta.enableChangeDataFeed": "true",
    # Updates of a few rows mark them instead of writing whole files anew.
    "delta.enableDeletionVectors": "true",
}


@dataclass(frozen=True)
class TableSpec:
    """What a stream says of its table: name, columns in order (name, Spark SQL type), key and partition column."""

    name: str
    columns: Columns
    key: tuple[str, ...]
    partition: str | None = None


@dataclass(frozen=True)
class TableIdentity:
    """Which table a name leads to: full name, location, and the id that Delta gave it when it was created."""

    name: str
    location: str
    table_id: str


class Entries(Protocol):
    """Catalog entries kept outside of Spark, where there is no catalog that several sessions share."""

    def register(self, spark: SparkSession) -> None:
        """Make every entry known to the session; never writes at a location."""

    def add(self, identity: TableIdentity, spark: SparkSession | None = None) -> None:
        """Keep the entry of a table that was just created; `spark`: the session that has it already."""

    def add_view(self, name: str, tables: Sequence[str]) -> None:
        """Keep the entry of a view that unites tables; all names are `catalog.schema.table`."""

    def names(self) -> list[str]:
        """The names of all entries that are tables."""

    def location(self, name: str) -> str | None:
        """Where the entry `catalog.schema.table` leads, None when there is none."""
