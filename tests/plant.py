"""A plant for tests: files land, streams or their batches run, tables are looked at."""

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

from dabs_lab.local_spark import LOCAL_SETTINGS
from sensor_streams.catalog_file import CatalogFile
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Batch, Handles, Outcome
from sensor_streams.incremental.transactions import BatchTransaction
from sensor_streams.inference.registry import LoadedModel, Registry
from sensor_streams.inference.training import TrainingReport, train
from sensor_streams.ingest.batch import ingest_batch
from sensor_streams.runtime.progress import BatchFigures
from sensor_streams.runtime.stores import registry_of
from sensor_streams.runtime.task import TaskReport, run_task
from sensor_streams.settings import Settings, load_settings
from sensor_streams.streams import BY_NAME, STREAMS
from sensor_streams.table_spec import TableIdentity, TableSpec
from sensor_streams.tables import Catalog
from sensor_streams.verify import Check, verify
from tests.rows import FIXTURES

# Little runs often enough to be worth the optimising compiler, which takes as much time as the tests do; and one thread
# for garbage leaves the cores to the tests. Without that compiler there are 48 MB for compiled code, which a few tests
# fill: from then on methods are thrown out and compiled again, and all takes much longer.
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m"
# When files arrive unless a test says otherwise.
ARRIVAL = datetime(2026, 1, 3, tzinfo=UTC)
# What a stream takes of a change: where to look.
WHERE = ("device_id", "sensor", "event_time", "window_start", "rule", "opened_at")
# Empty tables as their streams create them, made once: what they look like → folder, table id.
_EMPTY: dict[str, tuple[Path, str]] = {}
COMPUTED = ("sensor_features", "device_features", "device_sessions")


def reading(device: str, sensor: str, time: str, value: object, **more: object) -> str:
    """One line; `time` is of 2026-01-01 unless it holds a date."""
    told = time if "T" in time else f"2026-01-01T{time}Z"
    return json.dumps({"device_id": device, "sensor": sensor, "event_time": told, "value": value, **more})


class Plant:
    """One catalog and landing folder below a folder of the test's own."""

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
        # The store of models, where it is another plant's.
        self.store: dict[str, object] = {}
        self._batch = 0
        self._seen: dict[tuple[str, str], int] = {}

    def settings(self, **more: object) -> Settings:
        """The settings of this plant's runs."""
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
                # It has tests of its own: here it would only cost each start.
                "preflight": "off",
                "table_deadline": "5 s",
                "lease_timeout": "2 s",
                **self.store,
                **more,
            }
        )

    def settings_file(self, **more: object) -> Path:
        """The same settings as a file, for a process of its own."""
        told = self.settings(**more).model_dump(by_alias=True, exclude={"run", "attempt"})
        for name, value in told.items():
            if isinstance(value, timedelta):
                told[name] = f"{value.total_seconds():.0f} s"
        file = self.folder / "settings.yml"
        file.write_text(yaml.safe_dump(told), encoding="utf-8")
        return file

    def as_parameters(self, named: Mapping[str, str], run: str = "1", attempt: int = 1) -> dict[str, str]:
        """A deployed task's parameters with this plant's places, as the platform fills in its own."""
        mine = self.settings()
        here = {
            "catalog": mine.catalog,
            "schema": mine.schema_name,
            "landing": mine.landing,
            "checkpoints": mine.checkpoints,
            "sensors": mine.sensors,
            "run": run,
            "attempt": str(attempt),
        }
        return {name: here.get(name, value) for name, value in named.items()}

    def cluster_environment(self) -> dict[str, str]:
        """The environment of a task's process here: what a cluster has of itself, what stands in for its catalog."""
        conf = self.folder / "conf"
        conf.mkdir(exist_ok=True)
        settings = {
            **LOCAL_SETTINGS,
            "spark.master": "local[2]",
            "spark.sql.warehouse.dir": str(self.folder / "warehouse"),
        }
        (conf / "spark-defaults.conf").write_text(
            "".join(f"{name} {value}\n" for name, value in settings.items()), encoding="utf-8"
        )
        mine = self.settings()
        given = {n: getattr(mine, n) for n in ("tables", "catalog_file", "tracking_uri", "registry_uri", "artifacts")}
        told = {f"SENSOR_STREAMS_{name.upper()}": str(value) for name, value in given.items()}
        return {
            **os.environ,
            **told,
            "SENSOR_STREAMS_TABLE_DEADLINE": "120 s",
            "SENSOR_STREAMS_MODEL_INTERVAL": "2 s",
            "SPARK_CONF_DIR": str(conf),
            "PYSPARK_PYTHON": sys.executable,
            "JAVA_TOOL_OPTIONS": QUICK,
        }

    @property
    def registry(self) -> Registry:
        """The model registry of this plant."""
        return registry_of(self.settings())

    def land(self, name: str, lines: Iterable[str | bytes], arrival: datetime = ARRIVAL) -> Path:
        """Let a file arrive, whole."""
        data = b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)
        return self.land_bytes(name, data, arrival)

    def land_bytes(self, name: str, data: bytes, arrival: datetime = ARRIVAL) -> Path:
        """Let a file of these bytes arrive."""
        file = self.landing / name
        new = file.with_name(f".{file.name}")
        new.write_bytes(data)
        os.utime(new, (arrival.timestamp(), arrival.timestamp()))
        new.rename(file)
        return file

    def run(self, *names: str, **settings: object) -> TaskReport:
        """Run streams as a task does: real queries, real checkpoints, until their input is drained."""
        return run_task(self.spark, self.settings(**settings), names, fleet=self.fleet, on_batch=self.figures.append)

    def create(self, *names: str) -> None:
        """Create the tables of streams, without running them."""
        for name in names or BY_NAME:
            for spec in BY_NAME[name].tables(self.fleet):
                self._create(spec)

    def _create(self, spec: TableSpec) -> None:
        """Create a table as its stream does; one that is the same as another plant's, by a copy of its empty folder."""
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
        assert self.catalog.exists(spec.name), "the session knows it from now on"

    def handles(self, name: str) -> Handles:
        """The handles that a batch of the stream has."""
        return Handles.of_stream(self.catalog, BY_NAME[name], self.fleet)

    def process(self, name: str, changes: DataFrame, once: BatchTransaction | None = None) -> Outcome:
        """One batch of a computed stream with the changed rows of its sources."""
        stream = BY_NAME[name]
        return stream.scope.process_batch(changes, Batch(stream, self.fleet, self.handles(name), once))

    def ingest(self, *files: str, once: BatchTransaction | None = None) -> Outcome:
        """One batch of the named files (all of the landing folder unless given), as the stream hands it over."""
        self._batch += 1
        paths = [str(self.landing / name) for name in files] or [str(self.landing)]
        found = self.spark.read.format("binaryFile").load(paths).select("path", "modificationTime", "length")
        return ingest_batch(found, str(self.landing), self._batch, self.fleet, self.handles("readings"), once)

    def feed(self, table: str, since: int = 0) -> DataFrame:
        """The table's change feed from a version on, as a stream reads it."""
        reader = self.spark.read.option("readChangeFeed", "true").option("startingVersion", since)
        return reader.table(self.catalog.full_name(table))

    def follow(self, *names: str) -> None:
        """One batch of each computed stream: all that changed in its sources since it last looked."""
        for name in names or COMPUTED:
            stream = BY_NAME[name]
            for source in stream.sources:
                version = self.version(source)
                since = self._seen.get((name, source), -1) + 1
                if since <= version:
                    self.process(name, self.feed(source, since))
                    self._seen[name, source] = version

    def start_anew(self, name: str) -> Outcome:
        """The first batch of a computed stream whose checkpoint was lost: all rows that its sources have come again."""
        changes: DataFrame | None = None
        for source in BY_NAME[name].sources:
            rows = self.read(source)
            told = rows.select(*[c for c in WHERE if c in rows.columns])
            changes = told if changes is None else changes.unionByName(told)
        assert changes is not None
        return self.process(name, changes, BatchTransaction("a new checkpoint", 0))

    def version(self, table: str) -> int:
        """The table's latest version."""
        row = self.catalog.handle(table).history(1).select("version").first()
        assert row is not None
        return int(row[0])

    def read(self, table: str) -> DataFrame:
        """A table as it is now."""
        return self.catalog.read(table)

    def count(self, table: str, where: str = "true") -> int:
        """How many rows of a table are so."""
        return self.read(table).where(where).count()

    def train(self, failures: Sequence[tuple[str, str]]) -> TrainingReport:
        """Train on what is there."""
        rows = self.spark.createDataFrame(
            [(d, datetime.fromisoformat(t)) for d, t in failures], "device_id string, failed_at timestamp"
        )
        return train(self.read("device_features"), rows, self.fleet, registry=self.registry, data_version="test")

    def verify(self, *only: str, low: datetime | None = None, high: datetime | None = None) -> list[Check]:
        """Verify the tables that exist."""

        def load(kind: str, version: str) -> LoadedModel:
            return self.registry.load(self.spark, kind, version)

        return verify(self.catalog, self.fleet, load, low, high, only=only)

    def differing(self, *only: str) -> list[str]:
        """What verify finds wrong, in words; empty when all is well."""
        return [f"{c.table}: {c.differing} {c.examples}" for c in self.verify(*only) if c.differing]

    def sums(self) -> tuple[int, int, int, int]:
        """lines, accepted, rejected, duplicates over all files."""
        names = ("lines", "accepted", "rejected", "duplicates")
        row = self.read("ingested_files").agg(*[F.sum(n) for n in names]).first()
        assert row is not None
        return tuple(int(v or 0) for v in row)

    def reasons(self) -> dict[str, int]:
        """reason → rejected lines."""
        return {r["reason"]: r["count"] for r in self.read("readings_rejected").groupBy("reason").count().collect()}


def all_names() -> list[str]:
    """The names of the eight streams."""
    return [stream.name for stream in STREAMS]
