"""A plant for tests: land files, run streams or single batches, read and verify tables."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dabs_lab.local_spark import LOCAL_SETTINGS, with_usual_java_options
from sensor_streams.catalog_file import CatalogFile
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Batch, Handles, Outcome
from sensor_streams.incremental.transactions import BatchTransaction
from sensor_streams.inference.registry import LoadedModel, Registry
from sensor_streams.inference.training import TrainingReport, train
from sensor_streams.ingest.batch import ingest_batch
from sensor_streams.runtime.progress import BatchFigures
from sensor_streams.runtime.task import TaskReport, run_task
from sensor_streams.settings import Settings, load_settings
from sensor_streams.stores import registry_of
from sensor_streams.streams import BY_NAME, STREAMS
from sensor_streams.table_spec import TableIdentity, TableSpec
from sensor_streams.tables import Catalog
from sensor_streams.verify import Check, verify
from sensor_streams_dev.java_options import FEW_ROWS
from tests.rows import FIXTURES

# Default arrival time of files.
ARRIVAL = datetime(2026, 1, 3, tzinfo=UTC)
# Columns of a source by which a stream finds what a change touches.
SCOPE_COLUMNS = ("device_id", "sensor", "event_time", "window_start", "rule", "opened_at")
# Empty tables, created once: repr of the TableSpec → folder, table id.
_EMPTY: dict[str, tuple[Path, str]] = {}
COMPUTED = ("sensor_features", "device_features", "device_sessions")


def reading(device: str, sensor: str, time: str, value: object, **more: object) -> str:
    """Return one line of a file; a `time` without a date is on 2026-01-01."""
    event_time = time if "T" in time else f"2026-01-01T{time}Z"
    return json.dumps({"device_id": device, "sensor": sensor, "event_time": event_time, "value": value, **more})


class Plant:
    """A catalog, a landing folder, checkpoints and models in one folder."""

    def __init__(self, spark: SparkSession, fleet: Fleet, folder: Path, fleet_file: Path | None = None) -> None:
        self.spark = spark
        self.fleet = fleet
        self.folder = folder
        self.landing = folder / "landing"
        self.landing.mkdir(parents=True, exist_ok=True)
        self.schema = f"plant_{abs(hash(folder)) % 10**10}"
        self.catalog = Catalog(
            spark, "spark_catalog", self.schema, str(folder / "tables"), CatalogFile(folder / "catalog.json")
        )
        self.fleet_file = fleet_file or FIXTURES / "fleet.yml"
        self.figures: list[BatchFigures] = []
        # Settings of the model store, when it is another plant's.
        self.store: dict[str, object] = {}
        self._batch = 0
        self._seen: dict[tuple[str, str], int] = {}

    def settings(self, **more: object) -> Settings:
        """Return the settings of a run on this plant."""
        store = f"sqlite:///{self.folder / 'models' / 'mlflow.db'}"
        return load_settings(
            {
                "catalog": "spark_catalog",
                "schema": self.schema,
                "tables": str(self.folder / "tables"),
                "catalog_file": str(self.folder / "catalog.json"),
                "landing": str(self.landing),
                "checkpoints": str(self.folder / "checkpoints"),
                "sensors": str(self.fleet_file),
                "tracking_uri": store,
                "registry_uri": store,
                "artifacts": str(self.folder / "models" / "artifacts"),
                # Preflight has separate tests; here it would slow down each start.
                "preflight": "off",
                "table_deadline": "5 s",
                "lease_timeout": "2 s",
                **self.store,
                **more,
            }
        )

    def settings_file(self, **more: object) -> Path:
        """Write the settings to a file, for another process; return its path."""
        values = self.settings(**more).model_dump(by_alias=True, exclude={"run", "attempt"})
        for name, value in values.items():
            if isinstance(value, timedelta):
                values[name] = f"{value.total_seconds():.0f} s"
        file = self.folder / "settings.yml"
        file.write_text(yaml.safe_dump(values), encoding="utf-8")
        return file

    def as_parameters(self, named: Mapping[str, str], run: str = "1", attempt: int = 1) -> dict[str, str]:
        """Return a deployed task's parameters with the folders and names of this plant."""
        mine = self.settings()
        own = {
            "catalog": mine.catalog,
            "schema": mine.schema_name,
            "landing": mine.landing,
            "checkpoints": mine.checkpoints,
            "sensors": mine.sensors,
            "run": run,
            "attempt": str(attempt),
        }
        return {name: own.get(name, value) for name, value in named.items()}

    def cluster_environment(self) -> dict[str, str]:
        """Return the environment of a task's process: Spark settings and catalog as a cluster provides them."""
        conf = self.folder / "conf"
        conf.mkdir(exist_ok=True)
        settings = {
            **LOCAL_SETTINGS,
            "spark.master": "local[2]",
            "spark.sql.warehouse.dir": str(self.folder / "warehouse"),
            "spark.driver.extraJavaOptions": with_usual_java_options(environment={"JAVA_TOOL_OPTIONS": FEW_ROWS}),
        }
        (conf / "spark-defaults.conf").write_text(
            "".join(f"{name} {value}\n" for name, value in settings.items()), encoding="utf-8"
        )
        mine = self.settings()
        names = ("tables", "catalog_file", "tracking_uri", "registry_uri", "artifacts")
        variables = {f"SENSOR_STREAMS_{name.upper()}": str(getattr(mine, name)) for name in names}
        return {
            **os.environ,
            **variables,
            "SENSOR_STREAMS_TABLE_DEADLINE": "120 s",
            "SENSOR_STREAMS_MODEL_INTERVAL": "2 s",
            "SPARK_CONF_DIR": str(conf),
            "PYSPARK_PYTHON": sys.executable,
            "JAVA_TOOL_OPTIONS": FEW_ROWS,
        }

    @property
    def registry(self) -> Registry:
        """The plant's model registry."""
        return registry_of(self.settings())

    def land(self, name: str, lines: Iterable[str | bytes], arrival: datetime = ARRIVAL) -> Path:
        """Write a file of lines to the landing folder in one step."""
        data = b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)
        return self.land_bytes(name, data, arrival)

    def land_bytes(self, name: str, data: bytes, arrival: datetime = ARRIVAL) -> Path:
        """Write a file of bytes to the landing folder in one step."""
        file = self.landing / name
        new = file.with_name(f".{file.name}")
        new.write_bytes(data)
        os.utime(new, (arrival.timestamp(), arrival.timestamp()))
        new.rename(file)
        return file

    def run(self, *names: str, **settings: object) -> TaskReport:
        """Run streams as a task does, with queries and checkpoints, until all input is processed."""
        return run_task(self.spark, self.settings(**settings), names, fleet=self.fleet, on_batch=self.figures.append)

    def create(self, *names: str) -> None:
        """Create the tables of streams (all unless named) without a run."""
        for name in names or BY_NAME:
            for spec in BY_NAME[name].tables(self.fleet):
                self._create(spec)

    def _create(self, spec: TableSpec) -> None:
        """Create a table as its stream does, or copy the empty folder of a table with the same spec: that is faster."""
        template = _EMPTY.get(repr(spec))
        assert self.catalog.root is not None
        place = Path(self.catalog.root) / spec.name
        if template is None or place.exists():
            fresh = not place.exists()
            made = self.catalog.create(spec)
            if fresh:
                kept = self.folder.parent / f"empty-{len(_EMPTY)}-{spec.name}"
                shutil.copytree(place, kept)
                _EMPTY[repr(spec)] = (kept, made.table_id)
            return
        shutil.copytree(template[0], place)
        name = f"{self.catalog.catalog}.{self.catalog.schema}.{spec.name}"
        CatalogFile(self.folder / "catalog.json").add(TableIdentity(name, f"file:{place}", template[1]))
        assert self.catalog.exists(spec.name), "registers the table in the session"

    def handles(self, name: str) -> Handles:
        """The handles that a batch of the stream has."""
        return Handles.of_stream(self.catalog, BY_NAME[name], self.fleet)

    def process(self, name: str, changes: DataFrame, transaction: BatchTransaction | None = None) -> Outcome:
        """One batch of a computed stream with the changed rows of its sources."""
        stream = BY_NAME[name]
        return stream.scope.process_batch(changes, Batch(stream, self.fleet, self.handles(name), transaction))

    def ingest(self, *files: str, transaction: BatchTransaction | None = None) -> Outcome:
        """Process one batch of files (all of the landing folder unless named) as the stream `readings` does."""
        self._batch += 1
        paths = [str(self.landing / name) for name in files] or [str(self.landing)]
        found = self.spark.read.format("binaryFile").load(paths).select("path", "modificationTime", "length")
        return ingest_batch(found, str(self.landing), self._batch, self.fleet, self.handles("readings"), transaction)

    def feed(self, table: str, since: int = 0) -> DataFrame:
        """Return the table's change feed from a version on."""
        reader = self.spark.read.option("readChangeFeed", "true").option("startingVersion", since)
        return reader.table(self.catalog.full_name(table))

    def follow(self, *names: str) -> None:
        """Process one batch of each computed stream: the changes of its sources since its previous batch."""
        for name in names or COMPUTED:
            stream = BY_NAME[name]
            for source in stream.sources:
                version = self.version(source)
                since = self._seen.get((name, source), -1) + 1
                if since <= version:
                    self.process(name, self.feed(source, since))
                    self._seen[name, source] = version

    def process_all(self, name: str) -> Outcome:
        """Process all rows of a computed stream's sources, as its first batch does after a lost checkpoint."""
        changes: DataFrame | None = None
        for source in BY_NAME[name].sources:
            rows = self.read(source)
            scope = rows.select(*[c for c in SCOPE_COLUMNS if c in rows.columns])
            changes = scope if changes is None else changes.unionByName(scope)
        assert changes is not None
        return self.process(name, changes, BatchTransaction("a new checkpoint", 0))

    def version(self, table: str) -> int:
        """Return the table's latest version."""
        row = self.catalog.handle(table).history(1).select("version").first()
        assert row is not None
        return int(row[0])

    def read(self, table: str) -> DataFrame:
        """Return the rows of a table."""
        return self.catalog.read(table)

    def count(self, table: str, where: str = "true") -> int:
        """Return the number of rows that satisfy a condition."""
        return self.read(table).where(where).count()

    def train(self, failures: Sequence[tuple[str, str]]) -> TrainingReport:
        """Train both models on the features; a failure is (device, ISO time)."""
        rows = self.spark.createDataFrame(
            [(d, datetime.fromisoformat(t)) for d, t in failures], "device_id string, failed_at timestamp"
        )
        return train(self.read("device_features"), rows, self.fleet, registry=self.registry, data_version="test")

    def verify(self, *only: str, low: datetime | None = None, high: datetime | None = None) -> list[Check]:
        """Verify the existing tables."""

        def load(kind: str, version: str) -> LoadedModel:
            return self.registry.load(self.spark, kind, version)

        return verify(self.catalog, self.fleet, load, low, high, only=only)

    def differing(self, *only: str) -> list[str]:
        """Return a line for each table that differs from its recomputation."""
        return [f"{c.table}: {c.differing} {c.examples}" for c in self.verify(*only) if c.differing]

    def sums(self) -> tuple[int, int, int, int]:
        """Return the sums over all files: lines, accepted, rejected, duplicates."""
        names = ("lines", "accepted", "rejected", "duplicates")
        row = self.read("ingested_files").agg(*[F.sum(n) for n in names]).first()
        assert row is not None
        lines, accepted, rejected, duplicates = (int(value or 0) for value in row)
        return lines, accepted, rejected, duplicates

    def reasons(self) -> dict[str, int]:
        """Return reason → number of rejected lines."""
        return {r["reason"]: r["count"] for r in self.read("readings_rejected").groupBy("reason").count().collect()}


def all_names() -> list[str]:
    """Return the names of the eight streams."""
    return [stream.name for stream in STREAMS]
