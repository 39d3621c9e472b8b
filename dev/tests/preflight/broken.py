"""A copy of a plant that ran. Tests break something in it, and preflight has to find it."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from sensor_streams.catalog_file import CatalogFile
from sensor_streams.preflight.collect_session import gather
from sensor_streams.preflight.expected import expected_of
from sensor_streams.preflight.facts import Facts
from sensor_streams.preflight.findings import Finding
from sensor_streams.preflight.run_checks import run_checks
from sensor_streams.preflight.unchecked import unchecked_facts
from sensor_streams.streams import BY_NAME
from sensor_streams.tables import Catalog
from tests.plant import Plant

STREAMS = ("readings", "sensor_features")
# Lease timeout. Nothing waits for it unless a checkpoint is held.
SILENT = timedelta(seconds=2)


@dataclass
class Copy:
    """Copies of entries, checkpoints and some tables of a plant. Other entries point to the original tables."""

    plant: Plant
    folder: Path
    tables: tuple[str, ...]

    @classmethod
    def of(cls, plant: Plant, folder: Path, *tables: str) -> "Copy":
        """Copy the parts that a test may break. Entries and bindings point to the copied tables."""
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
        """Spark session of the tests."""
        return self.plant.spark

    @property
    def catalog(self) -> Catalog:
        """Catalog with this copy's entries."""
        return Catalog(
            self.spark, "spark_catalog", self.plant.schema, str(self.folder / "tables"), CatalogFile(self.file)
        )

    @property
    def file(self) -> Path:
        """File of the entries."""
        return self.folder / "catalog.json"

    def table(self, name: str) -> Path:
        """Return the folder of a copied table."""
        assert name in self.tables, "a test must not change the original"
        return self.folder / "tables" / name

    def log(self, table: str, version: int, ending: str = "json") -> Path:
        """Return a file of a table's log."""
        return self.table(table) / "_delta_log" / f"{version:020}.{ending}"

    def checkpoint(self, stream: str) -> Path:
        """Return a stream's checkpoint folder."""
        return self.folder / "checkpoints" / stream

    def name(self, table: str) -> str:
        """Return the full name of a table."""
        return f"spark_catalog.{self.plant.schema}.{table}"

    def point_entry(self, name: str, location: str | Path) -> None:
        """Point an entry, by its full name, to a location."""
        entries = json.loads(self.file.read_text("utf-8"))
        entries[name] = {"table_id": "x", **entries.get(name, {}), "location": str(location)}
        self.file.write_text(json.dumps(entries), "utf-8")

    def remove_entry(self, table: str) -> None:
        """Remove the entry of a table, but not its data."""
        CatalogFile(self.file).remove(self.name(table))

    def bind(self, stream: str, table: str, location: str) -> None:
        """Change the location of a table in a stream's binding."""
        file = self.checkpoint(stream) / "binding.json"
        binding = json.loads(file.read_text("utf-8"))
        for tables in (binding["sinks"], binding["sources"]):
            if table in tables:
                tables[table]["location"] = location
        file.write_text(json.dumps(binding), "utf-8")

    def rewrite(self, file: Path, change: Callable[[str], str]) -> None:
        """Edit a file by hand, and remove its checksum."""
        before = file.read_text("utf-8")
        file.write_text(change(before), "utf-8")
        file.with_name(f".{file.name}.crc").unlink(missing_ok=True)
        assert file.read_text("utf-8") != before

    def sql(self, statement: str, table: str) -> None:
        """Run a statement; `{}` is replaced by a copied table."""
        self.spark.sql(statement.format(f"delta.`{self.table(table)}`"))

    def commit(self, table: str, *actions: Mapping[str, Any]) -> None:
        """Write the next commit of a table, as another engine would."""
        versions = [int(file.stem) for file in (self.table(table) / "_delta_log").glob("0*.json")]
        lines = [{"commitInfo": {"timestamp": 0, "operation": "CHANGE", "operationParameters": {}}}, *actions]
        self.log(table, max(versions) + 1).write_text("".join(json.dumps(action) + "\n" for action in lines), "utf-8")

    def facts(self, *, now: float | None = None, catalog: Catalog | None = None, **settings: object) -> Facts:
        """Return the facts of this copy."""
        paths = {
            "tables": str(self.folder / "tables"),
            "catalog_file": str(self.file),
            "checkpoints": str(self.folder / "checkpoints"),
            **settings,
        }
        expected = expected_of(self.plant.settings(**paths), [BY_NAME[name] for name in STREAMS], self.plant.fleet)
        return gather(catalog or self.catalog, expected, SILENT, now=now)

    def found(self, **settings: Any) -> Mapping[str, set[str]]:
        """Return id → subjects of all findings. No fact may be unknown."""
        facts = self.facts(**settings)
        assert list(unchecked_facts(facts)) == []
        return by_id(facts)

    def only(self, check: str, **settings: Any) -> Finding:
        """Return the only finding, which must have this id."""
        facts = self.facts(**settings)
        assert list(unchecked_facts(facts)) == []
        found = findings(facts)
        assert [finding.check for finding in found] == [check], found
        return found[0]


def findings_of(plant: Plant, now: float | None = None) -> Mapping[str, set[str]]:
    """Return id → subjects of the findings in a plant with all its streams."""
    expected = expected_of(plant.settings(), list(BY_NAME.values()), plant.fleet)
    facts = gather(plant.catalog, expected, SILENT, now=now)
    assert list(unchecked_facts(facts)) == []
    return by_id(facts)


def findings(facts: Facts) -> list[Finding]:
    """Return the findings of all checks."""
    return list(run_checks(facts, []).findings)


def by_id(facts: Facts) -> Mapping[str, set[str]]:
    """Return id → subjects of all findings; tables by short name."""
    subjects: dict[str, set[str]] = {}
    for finding in findings(facts):
        subjects.setdefault(finding.check, set()).add(finding.subject.replace(facts.expected.full(""), ""))
    return subjects
