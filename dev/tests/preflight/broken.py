"""A copy of a plant that ran: something in it is broken for real, and preflight says what."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from sensor_streams.catalog_file import CatalogFile
from sensor_streams.preflight.checks import checkpoints, location, overlap, schema, sinks, source
from sensor_streams.preflight.expected import expected_of
from sensor_streams.preflight.facts import Facts
from sensor_streams.preflight.findings import Finding
from sensor_streams.preflight.session_facts import gather
from sensor_streams.preflight.unchecked import of_facts
from sensor_streams.streams import BY_NAME
from sensor_streams.tables import Catalog
from tests.plant import Plant

STREAMS = ("readings", "sensor_features")
FAMILIES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    location.check,
    overlap.check,
    source.check,
    checkpoints.check,
    sinks.check,
    schema.check,
)
# As long as nobody holds a checkpoint, nothing waits for it.
SILENT = timedelta(seconds=2)


@dataclass
class Copy:
    """Entries, checkpoints and some tables of a plant that ran; the other tables stay where they are, untouched."""

    plant: Plant
    folder: Path
    tables: tuple[str, ...]

    @classmethod
    def of(cls, plant: Plant, folder: Path, *tables: str) -> "Copy":
        """Copy what may be broken. Entries and bindings lead to the copied tables; names stay as they are."""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(plant.folder / "checkpoints", folder / "checkpoints")
        shutil.copy(plant.folder / "catalog.json", folder)
        copy = cls(plant, folder, tables)
        for table in tables:
            shutil.copytree(plant.folder / "tables" / table, copy.table(table))
        for file in (copy.file, *folder.glob("checkpoints/*/binding.json")):
            text = file.read_text("utf-8")
            for table in tables:
                text = text.replace(f'{plant.folder}/tables/{table}"', f'{folder}/tables/{table}"')
            file.write_text(text, "utf-8")
        return copy

    @property
    def spark(self) -> SparkSession:
        """The session of the tests."""
        return self.plant.spark

    @property
    def catalog(self) -> Catalog:
        """The catalog with this copy's entries."""
        return Catalog(
            self.spark, "spark_catalog", self.plant.schema, str(self.folder / "tables"), CatalogFile(self.file)
        )

    @property
    def file(self) -> Path:
        """Where the entries are."""
        return self.folder / "catalog.json"

    def table(self, name: str) -> Path:
        """Where a copied table lies."""
        assert name in self.tables, "the original must stay as it is"
        return self.folder / "tables" / name

    def log(self, table: str, version: int, ending: str = "json") -> Path:
        """A file of a table's log."""
        return self.table(table) / "_delta_log" / f"{version:020}.{ending}"

    def checkpoint(self, stream: str) -> Path:
        """A stream's checkpoint folder."""
        return self.folder / "checkpoints" / stream

    def name(self, table: str) -> str:
        """The full name of a table."""
        return f"spark_catalog.{self.plant.schema}.{table}"

    def enter(self, name: str, location: str | Path) -> None:
        """Let an entry, by its full name, lead to a place, and do nothing else."""
        entries = json.loads(self.file.read_text("utf-8"))
        entries[name] = {"table_id": "x", **entries.get(name, {}), "location": str(location)}
        self.file.write_text(json.dumps(entries), "utf-8")

    def leave(self, table: str) -> None:
        """Take away the entry of a table, whose data stays."""
        CatalogFile(self.file).remove(self.name(table))

    def bind(self, stream: str, table: str, location: str) -> None:
        """Let a checkpoint be bound to a place of a table in this spelling."""
        file = self.checkpoint(stream) / "binding.json"
        told = json.loads(file.read_text("utf-8"))
        for tables in (told["sinks"], told["sources"]):
            if table in tables:
                tables[table]["location"] = location
        file.write_text(json.dumps(told), "utf-8")

    def rewrite(self, file: Path, change: Callable[[str], str]) -> None:
        """Edit a file as somebody might by hand; no checksum tells of it."""
        before = file.read_text("utf-8")
        file.write_text(change(before), "utf-8")
        file.with_name(f".{file.name}.crc").unlink(missing_ok=True)
        assert file.read_text("utf-8") != before

    def sql(self, statement: str, table: str) -> None:
        """A statement at the place of a copied table, which stands as `{}` in it."""
        self.spark.sql(statement.format(f"delta.`{self.table(table)}`"))

    def commit(self, table: str, *actions: Mapping[str, Any]) -> None:
        """Write the next commit of a table by hand, as another engine would."""
        versions = [int(file.stem) for file in (self.table(table) / "_delta_log").glob("0*.json")]
        told = [{"commitInfo": {"timestamp": 0, "operation": "CHANGE", "operationParameters": {}}}, *actions]
        self.log(table, max(versions) + 1).write_text("".join(json.dumps(action) + "\n" for action in told), "utf-8")

    def facts(self, *, now: float | None = None, catalog: Catalog | None = None, **settings: object) -> Facts:
        """What preflight finds out of this copy."""
        here = {
            "tables": str(self.folder / "tables"),
            "catalog_file": str(self.file),
            "checkpoints": str(self.folder / "checkpoints"),
            **settings,
        }
        meant = expected_of(self.plant.settings(**here), [BY_NAME[name] for name in STREAMS], self.plant.fleet)
        return gather(catalog or self.catalog, meant, SILENT, now=now)

    def found(self, **settings: Any) -> Mapping[str, set[str]]:
        """The id of each finding → of what; nothing is left out because it could not be looked at."""
        facts = self.facts(**settings)
        assert list(of_facts(facts)) == []
        return by_id(facts)

    def says(self, check: str, **settings: Any) -> Finding:
        """The one finding, which is of this check."""
        facts = self.facts(**settings)
        assert list(of_facts(facts)) == []
        found = findings(facts)
        assert [finding.check for finding in found] == [check], found
        return found[0]


def said_of(plant: Plant, now: float | None = None) -> Mapping[str, set[str]]:
    """The id of each finding in a plant itself, with all its streams → of what."""
    meant = expected_of(plant.settings(), list(BY_NAME.values()), plant.fleet)
    facts = gather(plant.catalog, meant, SILENT, now=now)
    assert list(of_facts(facts)) == []
    return by_id(facts)


def findings(facts: Facts) -> list[Finding]:
    """What all checks say."""
    return [found for check in FAMILIES for found in check(facts)]


def by_id(facts: Facts) -> Mapping[str, set[str]]:
    """The id of each finding → of what: the table's or stream's short name."""
    said: dict[str, set[str]] = {}
    for finding in findings(facts):
        said.setdefault(finding.check, set()).add(finding.subject.replace(facts.meant.full(""), ""))
    return said
