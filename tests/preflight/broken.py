"""A copy of a plant that ran: something in it is broken for real, and preflight says what."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pyspark.sql import SparkSession

from sensor_streams.local.catalog import CatalogFile
from sensor_streams.preflight.checks import checkpoints, location, schema, sinks, source
from sensor_streams.preflight.facts import Facts
from sensor_streams.preflight.findings import Finding, Unchecked
from sensor_streams.preflight.local import gather, unchecked
from sensor_streams.preflight.meant import meant_of
from sensor_streams.streams import BY_NAME
from sensor_streams.tables import Catalog
from tests.plant import Plant

STREAMS = ("readings", "sensor_features", "device_features", "device_sessions")
FAMILIES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    location.check,
    source.check,
    checkpoints.check,
    sinks.check,
    schema.check,
)
# As long as nobody holds a checkpoint, nothing waits for it.
SILENT = timedelta(seconds=2)


@dataclass
class Copy:
    """The folder of a plant, with entries and bindings that lead into it. The names are the original's."""

    plant: Plant
    folder: Path

    @classmethod
    def of(cls, plant: Plant, folder: Path) -> "Copy":
        """Copy everything, and rewrite what holds a path."""
        shutil.copytree(plant.folder, folder)
        for file in (folder / "catalog.json", *folder.glob("checkpoints/*/binding.json")):
            file.write_text(file.read_text("utf-8").replace(str(plant.folder), str(folder)), "utf-8")
        return cls(plant, folder)

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
        """Where a table lies."""
        return self.folder / "tables" / name

    def checkpoint(self, name: str) -> Path:
        """A stream's checkpoint folder."""
        return self.folder / "checkpoints" / name

    def name(self, table: str) -> str:
        """The full name of a table."""
        return f"spark_catalog.{self.plant.schema}.{table}"

    def point(self, table: str, location: str | Path) -> None:
        """Let the entry of a table lead elsewhere, and nothing else."""
        entries = json.loads(self.file.read_text("utf-8"))
        entries[self.name(table)]["location"] = str(location)
        self.file.write_text(json.dumps(entries), "utf-8")

    def bind(self, stream: str, change: Callable[[dict[str, dict[str, dict[str, str]]]], object]) -> None:
        """Change what stands beside a checkpoint."""
        file = self.checkpoint(stream) / "binding.json"
        told = json.loads(file.read_text("utf-8"))
        change(told)
        file.write_text(json.dumps(told), "utf-8")

    def sql(self, statement: str, table: str) -> None:
        """A statement at the place of a table, which stands as `{}` in it."""
        self.spark.sql(statement.format(f"delta.`{self.table(table)}`"))

    def facts(
        self, *streams: str, now: float | None = None, catalog: Catalog | None = None, **settings: object
    ) -> Facts:
        """What preflight finds out of these streams, the four of the plant unless given."""
        here = {
            "landing": str(self.folder / "landing"),
            "tables": str(self.folder / "tables"),
            "catalog_file": str(self.file),
            "checkpoints": str(self.folder / "checkpoints"),
            **settings,
        }
        meant = meant_of(self.plant.settings(**here), [BY_NAME[n] for n in streams or STREAMS], self.plant.fleet)
        return gather(catalog or self.catalog, meant, SILENT, now=now)

    def found(self, *streams: str, now: float | None = None, **settings: object) -> Mapping[str, set[str]]:
        """The id of each finding → of what; the table's or the stream's short name."""
        return by_id(self.facts(*streams, now=now, **settings))


def findings(facts: Facts) -> list[Finding]:
    """What all checks say."""
    return [found for check in FAMILIES for found in check(facts)]


def by_id(facts: Facts) -> Mapping[str, set[str]]:
    """The id of each finding → of what, in short."""
    said: dict[str, set[str]] = {}
    for finding in findings(facts):
        said.setdefault(finding.check, set()).add(finding.subject.removeprefix(facts.meant.full("")))
    return said


def not_told(facts: Facts) -> list[Unchecked]:
    """What could not be checked."""
    return list(unchecked(facts))
