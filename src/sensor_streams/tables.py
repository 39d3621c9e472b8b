"""Catalog of the tables. Only a table's own stream creates it; streams look tables up at their start only."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from delta.tables import DeltaTable
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from sensor_streams.errors import ConfigurationError, SchemaConflictError, TableError
from sensor_streams.hadoop_files import names_at, remove_at
from sensor_streams.missing_tables import OPENING, UNKNOWN_PLACE, cannot_open, condition_of
from sensor_streams.retention import missing_retention
from sensor_streams.sql_names import (
    checked,
    create_schema,
    create_statement,
    printed_types,
    quoted_catalog_name,
    sql_text,
    view_statement,
)
from sensor_streams.table_spec import PROPERTIES, Entries, TableIdentity, TableSpec

log = logging.getLogger("sensor_streams.tables")


@dataclass(frozen=True)
class Catalog:
    """Tables of one schema. `root` is the folder of their data, None where the catalog manages it."""

    spark: SparkSession
    catalog: str
    schema: str
    root: str | None = None
    entries: Entries | None = None

    def __post_init__(self) -> None:
        for name in (self.catalog, self.schema):
            quoted_catalog_name(name)
        if self.entries is not None and self.root is None:
            # An entry that changes is dropped first; if the catalog manages the data, that drops the data too.
            raise ConfigurationError("catalog entries of this machine need a folder of the tables: set tables")

    def __str__(self) -> str:
        kept = "" if self.entries is None else f" (entries in {self.entries})"
        return f"schema {self.catalog}.{self.schema}{kept}"

    def full_name(self, table: str) -> str:
        """Return `catalog`.`schema`.`table`, each part quoted. Raises TableError for a name that is not valid."""
        return f"{self.full_schema}.`{checked(table)}`"

    @property
    def full_schema(self) -> str:
        """`catalog`.`schema`, both quoted."""
        return f"{quoted_catalog_name(self.catalog)}.{quoted_catalog_name(self.schema)}"

    def exists(self, table: str) -> bool:
        """True when the catalog has an entry of this name, also one whose table cannot be opened."""
        if self.entries is not None:
            self.entries.register(self.spark)
        try:
            return self.spark.catalog.tableExists(self.full_name(table))
        except OPENING as error:
            # There is an entry, but no table at its location.
            if condition_of(error).startswith("DELTA_"):
                return True
            raise

    def identify(self, table: str) -> TableIdentity:
        """Return the location and id of a table. Raises TableError for a missing entry or a missing table."""
        return self._identify(table)[0]

    def _identify(self, table: str) -> tuple[TableIdentity, dict[str, str]]:
        """Return a table's identity and properties."""
        name = f"{self.catalog}.{self.schema}.{table}"
        if not self.exists(table):
            raise self._unknown(table)
        try:
            row = (
                DeltaTable.forName(self.spark, self.full_name(table))
                .detail()
                .select("location", "id", "properties")
                .first()
            )
            columns = self._columns(table)
        except OPENING as error:
            raise self._cannot_open(table, condition_of(error) or type(error).__name__) from None
        if row is None or not columns:
            raise self._cannot_open(table, "it has no columns")
        return TableIdentity(name, str(row["location"]), str(row["id"])), dict(row["properties"] or {})

    def entry_location(self, table: str) -> str:
        """Return the location that the catalog entry names, even if no table is stored there."""
        known = None if self.entries is None else self.entries.location(f"{self.catalog}.{self.schema}.{table}")
        if known is not None:
            return known
        try:
            return self.describe(table).get("Location", UNKNOWN_PLACE)
        except (AnalysisException, Py4JJavaError):
            return UNKNOWN_PLACE

    def describe(self, table: str) -> dict[str, str]:
        """Return the rows of DESCRIBE TABLE EXTENDED by name, such as Location and Type; errors are Spark's.

        Without a Delta table at the entry's location, only `Location` is returned.
        """
        try:
            rows = self.spark.sql(f"DESCRIBE TABLE EXTENDED {self.full_name(table)}").collect()
        except AnalysisException as error:
            path = (error.getMessageParameters() or {}).get("path")
            if path and condition_of(error).startswith("DELTA_"):
                return {"Location": str(path)}
            raise
        return {str(row["col_name"]): str(row["data_type"]) for row in rows}

    def tables_with_prefix(self, prefix: str) -> list[str]:
        """Return the sorted names of the schema's tables with this prefix, without views."""
        if self.entries is not None:
            before = f"{self.catalog}.{self.schema}."
            names = [name.removeprefix(before) for name in self.entries.names() if name.startswith(before)]
        elif self.spark.catalog.databaseExists(self.full_schema):
            schema = self.full_schema
            like = f"LIKE {sql_text(prefix + '*')}"
            views = {row["viewName"] for row in self.spark.sql(f"SHOW VIEWS IN {schema} {like}").collect()}
            rows = self.spark.sql(f"SHOW TABLES IN {schema} {like}").collect()
            names = [row["tableName"] for row in rows if not row["isTemporary"] and row["tableName"] not in views]
        else:
            names = []
        return sorted(name for name in names if name.startswith(prefix))

    def create_view(self, name: str, tables: Sequence[str]) -> None:
        """Create or replace a view of all rows of some tables of this schema, which have the same columns.

        The view gets an entry too, so that every session has it. Raises TableError when no table is given.
        """
        if not tables:
            raise TableError(f"view {self.catalog}.{self.schema}.{name} has no tables")
        if self.entries is not None:
            self.entries.register(self.spark)
        self.spark.sql(view_statement(self.full_name(name), [self.full_name(table) for table in tables]))
        if self.entries is not None:
            before = f"{self.catalog}.{self.schema}."
            self.entries.add_view(before + name, [before + table for table in tables])

    def wait_for(self, table: str, seconds: float) -> TableIdentity:
        """Wait for a table and return its identity. Raises TableError when the deadline passes."""
        deadline = time.monotonic() + seconds
        while not self.exists(table):
            if time.monotonic() >= deadline:
                raise TableError(
                    f"table {self.catalog}.{self.schema}.{table} did not appear within {seconds:.0f} s: "
                    "only the stream of that name creates it: start that stream, or read its log"
                )
            time.sleep(min(0.5, max(0.05, deadline - time.monotonic())))
        return self.identify(table)

    def create(self, spec: TableSpec) -> TableIdentity:
        """Open the table of a stream for writing; create it when neither an entry nor data exists.

        An empty table without an entry that equals the specification is adopted: a kill before the entry was written
        leaves one. New columns of the specification are added. Raises SchemaConflictError when a column has another
        type, TableError when an entry's table cannot be opened or the location of a new table contains data.
        """
        if self.exists(spec.name):
            return self.open(spec)
        full_name = self.full_name(spec.name)
        location = None if self.root is None else f"{self.root.rstrip('/')}/{checked(spec.name)}"
        statement = create_statement(full_name, spec, location)
        if location is not None and _holds_data(self.spark, location):
            if not self._just_created(spec, location):
                raise TableError(
                    f"table {self.catalog}.{self.schema}.{spec.name} is not in the catalog, but {location} holds data: "
                    "register that table under this name if it is the right one, or move it away"
                )
            statement = f"CREATE TABLE {full_name} USING delta LOCATION {sql_text(location)}"
        create_schema(self.spark, self.catalog, self.schema)
        self.spark.sql(statement)
        identity = self.identify(spec.name)
        if self.entries is not None:
            self.entries.add(identity, self.spark)
        return identity

    def open(self, spec: TableSpec) -> TableIdentity:
        """Open an existing table for writing; add new columns of the specification, extend a short retention.

        Raises TableError when the table does not exist, SchemaConflictError when a column has another type.
        """
        identity, properties = self._identify(spec.name)
        self._add_columns(spec)
        self._extend_retention(spec.name, properties)
        return identity

    def read(self, table: str) -> DataFrame:
        """Return the current table. For commands and checks; streams use `handle`. Raises TableError."""
        if self.entries is not None:
            self.entries.register(self.spark)
        try:
            return self.spark.table(self.full_name(table))
        except OPENING as error:
            raise self._missing(table, error) from None

    def handle(self, table: str, session: SparkSession | None = None) -> DeltaTable:
        """Return a handle whose reads and merges need no further look-up in the catalog. Raises TableError."""
        if self.entries is not None:
            self.entries.register(self.spark)
        try:
            return DeltaTable.forName(session or self.spark, self.full_name(table))
        except OPENING as error:
            raise self._missing(table, error) from None

    def _missing(self, table: str, error: PySparkException | Py4JJavaError) -> Exception:
        """Return the TableError for a table that could not be opened; other errors are returned unchanged."""
        condition = condition_of(error)
        if not condition.startswith(("DELTA_", "TABLE_OR_VIEW_NOT_FOUND")):
            return error
        if not self.exists(table):
            return self._unknown(table)
        return self._cannot_open(table, condition)

    def _unknown(self, table: str) -> TableError:
        return TableError(f"table {table} is not in the catalog, {self}: start the stream that writes it")

    def _cannot_open(self, table: str, cause: str) -> TableError:
        usual = None if self.root is None else f"{self.root.rstrip('/')}/{checked(table)}"
        name = f"{self.catalog}.{self.schema}.{table}"
        return cannot_open(self.spark, name, self.entry_location(table), cause, usual)

    def _just_created(self, spec: TableSpec, location: str) -> bool:
        """True when the location has an empty, unchanged table of this specification."""
        try:
            table = DeltaTable.forPath(self.spark, location)
            row = table.detail().select("numFiles", "partitionColumns", "properties").first()
            version = table.history(1).select("version").first()
            columns = [(f.name, f.dataType.simpleString()) for f in table.toDF().schema.fields]
        except PySparkException:
            return False
        partitions = [] if spec.partition is None else [spec.partition]
        return (
            row is not None
            and version is not None
            and (version[0], row["numFiles"], row["partitionColumns"]) == (0, 0, partitions)
            and row["properties"].items() >= PROPERTIES.items()
            and columns == list(printed_types(self.spark, spec.columns).items())
        )

    def _extend_retention(self, table: str, properties: dict[str, str]) -> None:
        """Set the retention of files and log if it is too short; otherwise commit nothing."""
        wanted = missing_retention(properties)
        if not wanted:
            return
        setting = ", ".join(f"'{name}' = {sql_text(value)}" for name, value in wanted.items())
        try:
            self.spark.sql(f"ALTER TABLE {self.full_name(table)} SET TBLPROPERTIES ({setting})")
        except (PySparkException, Py4JError) as error:
            # The stream can run: a short retention affects only a stream that is down for days.
            log.warning(
                "table %s.%s.%s has a retention that is too short for a slow stream, and changing it failed "
                "(%s): set the table's properties %s",
                *(self.catalog, self.schema, table, str(error).partition("\n")[0], setting),
            )

    def _columns(self, table: str) -> dict[str, str]:
        return {f.name: f.dataType.simpleString() for f in self.spark.table(self.full_name(table)).schema.fields}

    def _add_columns(self, spec: TableSpec) -> None:
        """Add new columns. Raises SchemaConflictError for a column of another type."""
        stored = self._columns(spec.name)
        wanted = printed_types(self.spark, spec.columns)
        wrong = [
            f"{n} is {stored[n]} in the table and {k} in the configuration"
            for n, k in wanted.items()
            if n in stored and stored[n] != k
        ]
        if wrong:
            raise SchemaConflictError(
                f"table {self.catalog}.{self.schema}.{spec.name}: {'; '.join(wrong)}. Nothing was changed. "
                "Keep the type, or give the field another name"
            )
        new = [(n, kind) for n, kind in spec.columns if n not in stored]
        if new:
            added = ", ".join(f"`{checked(n)}` {kind}" for n, kind in new)
            self.spark.sql(f"ALTER TABLE {self.full_name(spec.name)} ADD COLUMNS ({added})")


def _holds_data(spark: SparkSession, location: str) -> bool:
    """True when the location contains data. The empty log that a killed creation leaves is removed."""
    names = names_at(spark, location, most=2)
    if names != ["_delta_log"]:
        return bool(names)
    log = f"{location}/_delta_log"
    if any(name[0].isdigit() or name == "_last_checkpoint" for name in names_at(spark, log)):
        return True
    # Delta creates a table in an empty folder only.
    remove_at(spark, log)
    return False
