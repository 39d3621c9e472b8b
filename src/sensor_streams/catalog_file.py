"""Catalog of this machine: a file of entries that each session registers when it needs them."""

import fcntl
import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from sensor_streams.errors import TableError
from sensor_streams.settings import NAME, SESSION_CATALOG
from sensor_streams.sql_names import create_schema, view_statement, view_text
from sensor_streams.table_spec import TableIdentity

log = logging.getLogger("sensor_streams.catalog_file")

Entry = Mapping[str, Any]


class CatalogFile:
    """Entries `catalog.schema.name`, shared by all driver JVMs of this machine.

    The entry of a table has its location and table id; the entry of a view has its tables. Spark's embedded catalog
    database allows one process at a time, and a job may run one process per task.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        # Kind and definition of each registered name, by Spark application: registering costs calls per table.
        self._known: dict[str, dict[str, tuple[str, str]]] = {}
        # Threads of one process share the session, and so its catalog.
        self._registering = threading.RLock()

    def __str__(self) -> str:
        return str(self.file)

    def read(self) -> dict[str, Entry]:
        """Return name → {location, table_id} or {view_of}. Raises TableError for a file with other content."""
        try:
            entries = json.loads(self.file.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise TableError(
                f"{self.file}: not readable as catalog entries ({error}): restore it from a copy"
            ) from None
        if not isinstance(entries, dict):
            raise TableError(f"{self.file}: does not contain catalog entries: restore it from a copy")
        for name, entry in entries.items():
            if not isinstance(entry, dict) or not (
                isinstance(entry.get("location"), str) or isinstance(entry.get("view_of"), list)
            ):
                raise TableError(f"{self.file}: entry {name} has neither a location nor view_of: correct or remove it")
        return entries

    def add(self, identity: TableIdentity, spark: SparkSession | None = None) -> None:
        """Add or replace one entry, under a lock between the processes of this machine.

        spark: the session that created the table and has it in its catalog already.
        """
        with self._registering:
            self._put(identity.name, {"location": identity.location, "table_id": identity.table_id})
            if spark is not None:
                self._registered(spark)[identity.name] = ("TABLE", identity.location)

    def add_view(self, name: str, tables: Sequence[str]) -> None:
        """Add or replace the entry of a view that unites tables."""
        with self._registering:
            self._put(name, {"view_of": list(tables)})

    def names(self) -> list[str]:
        """Return the sorted names of all entries of tables."""
        return sorted(name for name, entry in self.read().items() if "location" in entry)

    def location(self, name: str) -> str | None:
        """Return the location of an entry, or None."""
        location = self.read().get(name, {}).get("location")
        return None if location is None else str(location)

    def remove(self, name: str) -> None:
        """Remove one entry; its data stays."""
        with self._lock():
            entries = self.read()
            entries.pop(name, None)
            self._write(entries)

    def register(self, spark: SparkSession) -> None:
        """Make the session's catalog equal to the file; write nothing at the locations."""
        with self._registering:
            known = self._registered(spark)
            entries = self.read()
            definitions = {name: _definition(entry, entries) for name, entry in entries.items()}
            for name in [name for name, definition in known.items() if definitions.get(name) != definition]:
                kind, _ = known.pop(name)
                spark.sql(f"DROP {kind} IF EXISTS {_quoted(name)}")
            # Views last: they need their tables.
            for name in sorted(definitions.keys() - known.keys(), key=lambda name: (definitions[name][0], name)):
                catalog, schema, short = _parts(name)
                create_schema(spark, catalog, schema)
                if definitions[name][0] == "TABLE":
                    _register(spark, schema, short, str(entries[name]["location"]))
                else:
                    _create_view(spark, name, [_quoted(table) for table in entries[name]["view_of"]])
                known[name] = definitions[name]

    def _registered(self, spark: SparkSession) -> dict[str, tuple[str, str]]:
        return self._known.setdefault(spark.sparkContext.applicationId, {})

    def _put(self, name: str, entry: Entry) -> None:
        with self._lock():
            self._write({**self.read(), name: entry})

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, entries: Mapping[str, Entry]) -> None:
        new = self.file.with_suffix(f".{os.getpid()}.new")
        new.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        new.replace(self.file)


def _definition(entry: Entry, entries: Mapping[str, Entry]) -> tuple[str, str]:
    """Return kind and definition of an entry; a view's definition includes the locations of its tables."""
    if "location" in entry:
        return "TABLE", str(entry["location"])
    tables = {str(table): entries.get(str(table), {}).get("location") for table in entry["view_of"]}
    return "VIEW", json.dumps(tables)


def _create_view(spark: SparkSession, name: str, tables: Sequence[str]) -> None:
    """Create a view, unless the session has it; log a warning when that fails."""
    _, schema, view = _parts(name)
    catalog = spark._jsparkSession.sharedState().externalCatalog()
    if catalog.tableExists(schema, view):
        text = catalog.getTable(schema, view).viewText()
        if text.isDefined() and text.get() == view_text(tables):
            return
    try:
        spark.sql(view_statement(_quoted(name), tables))
    except AnalysisException as error:
        log.warning("view %s cannot be created: %s", name, str(error).partition("\n")[0])


def _register(spark: SparkSession, schema: str, table: str, location: str) -> None:
    """Create the entry of an external table, unless the session has it: another task on the driver may use it.

    This calls Spark's catalog, not SQL: at a location without a table, `CREATE TABLE … USING delta LOCATION …` would
    write an empty table, which all readers of a wrong entry would then read.
    """
    jvm = spark._jvm
    if jvm is None:
        raise TableError("catalog entries need a session with a JVM of its own")
    uri = jvm.org.apache.hadoop.fs.Path(location).toUri()
    catalog = spark._jsparkSession.sharedState().externalCatalog()
    if catalog.tableExists(schema, table):
        known = catalog.getTable(schema, table).storage().locationUri()
        if known.isDefined() and known.get().equals(uri):
            return
        spark.sql(f"DROP TABLE IF EXISTS {_quoted(f'{SESSION_CATALOG}.{schema}.{table}')}")
    catalyst = jvm.org.apache.spark.sql.catalyst
    companion = getattr(getattr(catalyst.catalog, "CatalogTable$"), "MODULE$")
    rest = [getattr(companion, f"apply$default${n}")() for n in range(6, 22)]
    empty = catalyst.catalog.CatalogStorageFormat.empty()
    storage = empty.copy(
        jvm.scala.Option.apply(uri),
        empty.inputFormat(),
        empty.outputFormat(),
        empty.serde(),
        empty.compressed(),
        empty.properties(),
    )
    entry = catalyst.catalog.CatalogTable(
        catalyst.TableIdentifier(table, jvm.scala.Option.apply(schema)),
        catalyst.catalog.CatalogTableType.EXTERNAL(),
        storage,
        jvm.org.apache.spark.sql.types.StructType(),
        jvm.scala.Option.apply("delta"),
        *rest,
    )
    # True: ignore an entry that another task on the same driver has just created.
    catalog.createTable(entry, True)


def _quoted(name: str) -> str:
    return ".".join(f"`{part}`" for part in _parts(name))


def _parts(name: str) -> tuple[str, str, str]:
    parts = name.split(".")
    if len(parts) != 3 or not all(NAME.fullmatch(part) for part in parts):
        raise TableError(f"catalog entry {name!r} is not catalog.schema.table: correct or remove it")
    return parts[0], parts[1], parts[2]
