"""Tables by name: created by their own stream only, opened by their readers, looked up at start and not again."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from delta.tables import DeltaTable
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from sensor_streams.errors import SchemaConflict, TableError
from sensor_streams.settings import NAME

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

    def add(self, identity: TableIdentity) -> None:
        """Keep the entry of a table that was just created."""

    def location(self, name: str) -> str | None:
        """Where the entry `catalog.schema.table` leads, None when there is none."""


@dataclass(frozen=True)
class Catalog:
    """The tables of one schema. `root` is the folder of their data, None where the catalog manages it."""

    spark: SparkSession
    catalog: str
    schema: str
    root: str | None = None
    entries: Entries | None = None

    def __post_init__(self) -> None:
        for name in (self.catalog, self.schema):
            _checked(name)

    def full_name(self, table: str) -> str:
        """`catalog`.`schema`.`table`, each part checked to be a plain name. Raises TableError."""
        return ".".join(f"`{_checked(part)}`" for part in (self.catalog, self.schema, table))

    def exists(self, table: str) -> bool:
        """True when the catalog has an entry of this name, wherever that leads."""
        if self.entries is not None:
            self.entries.register(self.spark)
        try:
            return self.spark.catalog.tableExists(self.full_name(table))
        except AnalysisException as error:
            # An entry that leads nowhere is an entry all the same.
            if (error.getCondition() or "").startswith("DELTA_"):
                return True
            raise

    def identify(self, table: str) -> TableIdentity:
        """Where the entry leads and which table lies there.

        Raises TableError when there is no entry, or nothing but an entry.
        """
        name = f"{self.catalog}.{self.schema}.{table}"
        if not self.exists(table):
            raise TableError(f"table {name} is not in the catalog: start the stream that writes it")
        location = self.entry_location(table)
        try:
            row = DeltaTable.forName(self.spark, self.full_name(table)).detail().select("location", "id").first()
        except PySparkException as error:
            row = None
            cause = error.getCondition() or type(error).__name__
        else:
            cause = "no detail"
        if row is None or not self._columns(table):
            raise TableError(
                f"table {name}: its catalog entry says {location}, and there is no Delta table there ({cause}). "
                "Nothing was written. Find where the data is and correct the entry, or drop the entry to start anew"
            )
        return TableIdentity(name, str(row["location"]), str(row["id"]))

    def entry_location(self, table: str) -> str:
        """The location that the catalog entry names, whatever lies there."""
        known = None if self.entries is None else self.entries.location(f"{self.catalog}.{self.schema}.{table}")
        if known is not None:
            return known
        rows = self.spark.sql(f"DESCRIBE TABLE EXTENDED {self.full_name(table)}").collect()
        return next((str(r["data_type"]) for r in rows if r["col_name"] == "Location"), "an unknown place")

    def wait_for(self, table: str, seconds: float, stopped: Callable[[], bool] = lambda: False) -> TableIdentity:
        """The table's identity, once it exists. Raises TableError when the deadline passes or `stopped` says so."""
        deadline = time.monotonic() + seconds
        while not self.exists(table):
            if stopped() or time.monotonic() >= deadline:
                raise TableError(
                    f"table {self.catalog}.{self.schema}.{table} did not appear within {seconds:.0f} s: "
                    "only the stream of that name creates it, so start that one (or look why it did not)"
                )
            time.sleep(min(0.5, max(0.05, deadline - time.monotonic())))
        return self.identify(table)

    def create(self, spec: TableSpec) -> TableIdentity:
        """Open the table of a stream for writing; create it when there is neither entry nor data.

        New columns that the specification has are added. Raises SchemaConflict when a column has another type, and
        TableError when an entry leads to nothing, or data lies where a new table would go.
        """
        if self.exists(spec.name):
            identity = self.identify(spec.name)
            self._fit(spec)
            return identity
        location = None if self.root is None else f"{self.root.rstrip('/')}/{_checked(spec.name)}"
        if location is not None and _holds_data(location):
            raise TableError(
                f"table {self.catalog}.{self.schema}.{spec.name} is not in the catalog, but {location} holds data: "
                "register that table under this name if it is the right one, or move it away"
            )
        self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS `{self.catalog}`.`{self.schema}`")
        self.spark.sql(_create_statement(self.full_name(spec.name), spec, location))
        identity = self.identify(spec.name)
        if self.entries is not None:
            self.entries.add(identity)
        return identity

    def read(self, table: str) -> DataFrame:
        """The table as it is now, by name. For commands and checks; streams use `handle`."""
        if self.entries is not None:
            self.entries.register(self.spark)
        return self.spark.table(self.full_name(table))

    def handle(self, table: str, session: SparkSession | None = None) -> DeltaTable:
        """A handle that stays valid: reads and merges through it ask the catalog nothing more."""
        return DeltaTable.forName(session or self.spark, self.full_name(table))

    def _columns(self, table: str) -> dict[str, str]:
        return {f.name: f.dataType.simpleString() for f in self.spark.table(self.full_name(table)).schema.fields}

    def _fit(self, spec: TableSpec) -> None:
        """Add the columns that are new, refuse the ones whose type differs."""
        there = self._columns(spec.name)
        wanted = {n: _simple(self.spark, kind) for n, kind in spec.columns}
        wrong = [
            f"{n} is {there[n]} in the table and {k} in the configuration"
            for n, k in wanted.items()
            if n in there and there[n] != k
        ]
        if wrong:
            raise SchemaConflict(
                f"table {self.catalog}.{self.schema}.{spec.name}: {'; '.join(wrong)}. Nothing was changed. "
                "Keep the type, or give the field another name"
            )
        new = [(n, kind) for n, kind in spec.columns if n not in there]
        if new:
            added = ", ".join(f"`{_checked(n)}` {kind}" for n, kind in new)
            self.spark.sql(f"ALTER TABLE {self.full_name(spec.name)} ADD COLUMNS ({added})")


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise TableError(f"{name!r} is no plain name: letters, digits and _ only, a letter first")
    return name


def _create_statement(full_name: str, spec: TableSpec, location: str | None) -> str:
    columns = ", ".join(f"`{_checked(name)}` {kind}" for name, kind in spec.columns)
    parts = [f"CREATE TABLE {full_name} ({columns}) USING delta"]
    if spec.partition:
        parts.append(f"PARTITIONED BY (`{_checked(spec.partition)}`)")
    if location is not None:
        parts.append(f"LOCATION {sql_text(location)}")
    parts.append("TBLPROPERTIES (" + ", ".join(f"'{k}' = '{v}'" for k, v in PROPERTIES.items()) + ")")
    return " ".join(parts)


def sql_text(value: str) -> str:
    """A string as a SQL literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _simple(spark: SparkSession, kind: str) -> str:
    """The type as Spark prints it: `bigint` for LONG, and so on."""
    field = spark.createDataFrame([], f"c {kind}").schema.fields[0]
    return field.dataType.simpleString()


def _holds_data(location: str) -> bool:
    folder = Path(location)
    return folder.is_dir() and any(folder.iterdir())


def delta_log_entries(location: str) -> list[dict[str, object]]:
    """The actions of a local table's log, oldest first: what tests and checks count commits with."""
    log = Path(location.removeprefix("file:")) / "_delta_log"
    return [json.loads(line) for file in sorted(log.glob("*.json")) for line in file.read_text("utf-8").splitlines()]
