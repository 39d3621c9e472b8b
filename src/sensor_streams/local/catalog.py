"""The catalog of this machine: a small file of entries that each session registers when it needs them."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from sensor_streams.errors import TableError
from sensor_streams.settings import NAME
from sensor_streams.tables import TableIdentity


class CatalogFile:
    """Entries `catalog.schema.table` → location and table id, shared by all driver JVMs of this machine.

    Spark's own embedded catalog database takes one process at a time; a shared-nothing job has several.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        # What each session has been told, by its application: registering again would cost a call per table.
        self._known: dict[str, dict[str, str]] = {}

    def read(self) -> dict[str, dict[str, str]]:
        """All entries: name → {location, table_id}. Raises TableError when the file is no JSON object."""
        try:
            entries = json.loads(self.file.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise TableError(
                f"{self.file}: not readable as catalog entries ({error}): restore it from a copy"
            ) from None
        if not isinstance(entries, dict):
            raise TableError(f"{self.file}: holds no catalog entries: restore it from a copy")
        return entries

    def add(self, identity: TableIdentity) -> None:
        """Add or replace one entry, under a lock that all processes of this machine respect."""
        with self._lock():
            entries = self.read()
            entries[identity.name] = {"location": identity.location, "table_id": identity.table_id}
            self._write(entries)

    def location(self, name: str) -> str | None:
        """Where an entry leads, None when there is none."""
        entry = self.read().get(name)
        return None if entry is None else entry["location"]

    def remove(self, name: str) -> None:
        """Forget one entry; its data stays."""
        with self._lock():
            entries = self.read()
            entries.pop(name, None)
            self._write(entries)

    def register(self, spark: SparkSession) -> None:
        """Make the session's catalog equal to the file. Never writes at a location, wherever an entry points."""
        known = self._known.setdefault(spark.sparkContext.applicationId, {})
        entries = {name: entry["location"] for name, entry in self.read().items()}
        for name, location in entries.items():
            if known.get(name) == location:
                continue
            catalog, schema, table = _parts(name)
            full = f"`{catalog}`.`{schema}`.`{table}`"
            spark.sql(f"CREATE SCHEMA IF NOT EXISTS `{catalog}`.`{schema}`")
            spark.sql(f"DROP TABLE IF EXISTS {full}")
            _register(spark, schema, table, location)
            known[name] = location
        for name in known.keys() - entries.keys():
            catalog, schema, table = _parts(name)
            spark.sql(f"DROP TABLE IF EXISTS `{catalog}`.`{schema}`.`{table}`")
            del known[name]

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, entries: dict[str, dict[str, str]]) -> None:
        new = self.file.with_suffix(f".{os.getpid()}.new")
        new.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        new.replace(self.file)


def _register(spark: SparkSession, schema: str, table: str, location: str) -> None:
    """Make an entry of an external table.

    Through Spark's catalog and not through SQL: `CREATE TABLE … USING delta LOCATION …` writes a log, an empty table,
    where there is none. That is how an entry that leads nowhere turns into an empty table that everyone reads.
    """
    jvm = spark._jvm
    if jvm is None:
        raise TableError("catalog entries need a session with a JVM of its own")
    catalyst = jvm.org.apache.spark.sql.catalyst
    companion = getattr(getattr(catalyst.catalog, "CatalogTable$"), "MODULE$")
    rest = [getattr(companion, f"apply$default${n}")() for n in range(6, 22)]
    empty = catalyst.catalog.CatalogStorageFormat.empty()
    storage = empty.copy(
        jvm.scala.Option.apply(jvm.org.apache.hadoop.fs.Path(location).toUri()),
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
    spark._jsparkSession.sharedState().externalCatalog().createTable(entry, False)


def _parts(name: str) -> tuple[str, str, str]:
    parts = name.split(".")
    if len(parts) != 3 or not all(NAME.fullmatch(part) for part in parts):
        raise TableError(f"catalog entry {name!r} is no catalog.schema.table: correct or remove it")
    return parts[0], parts[1], parts[2]
