"""Settings, fleet, tables, models and Spark session that the commands share on this machine."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pyspark.sql import SparkSession

from dabs_lab.local_spark import local_session
from dabs_lab.runner.local_config import LocalConfig, absolute, load_local
from sensor_streams.checkpoint.binding import read_binding
from sensor_streams.checkpoint.settings_record import Records, check_features, record_training
from sensor_streams.fleet import Fleet, load_fleet
from sensor_streams.inference.registry import LoadedModel, Registry
from sensor_streams.inference.training import TrainingReport, train_on_tables
from sensor_streams.settings import PREFIX, Settings, load_settings
from sensor_streams.stores import catalog_of, registry_of
from sensor_streams.tables import Catalog
from sensor_streams.verify import Check, verify


def settings_of(local: LocalConfig) -> dict[str, object]:
    """Return the settings of `local.yml`, for `load_settings(defaults=…)`."""
    volumes = {name: str(path) for name, path in local.volumes.items() if name in Settings.model_fields}
    environment = {
        name.removeprefix(PREFIX).lower(): value for name, value in local.environment.items() if name.startswith(PREFIX)
    }
    return {**local.arguments, **environment, **volumes, "sensors": str(local.folder / "sensors.yml")}


@dataclass
class LocalHome:
    """Local replacement of a Databricks workspace."""

    local: LocalConfig
    settings: Settings
    log_name: str = "spark"

    @classmethod
    def open(
        cls,
        file: Path = Path("local.yml"),
        arguments: Mapping[str, object] | None = None,
        settings_file: Path | None = None,
        home: Path | None = None,
        log_name: str = "spark",
    ) -> "LocalHome":
        """Read `local.yml` and the settings; `home` replaces the home folder of `local.yml`.

        Relative paths start at the current folder. Raises ConfigurationError.
        """
        local = load_local(file)
        if home is not None:
            local = local.under(absolute(home))
        settings = load_settings(arguments, os.environ, settings_file, settings_of(local))
        paths = {name: getattr(settings, name) for name in ("landing", "checkpoints", "sensors", "archive")}
        mapped = {name: str(absolute(local.path(path))) for name, path in paths.items() if path is not None}
        return cls(local, settings.model_copy(update=mapped), log_name)

    @cached_property
    def fleet(self) -> Fleet:
        """Fleet of sensors.yml."""
        return load_fleet(self.settings.sensors)

    @property
    def log_file(self) -> Path:
        """Log file of Spark."""
        return self.local.log / f"{self.log_name}.log"

    @cached_property
    def spark(self) -> SparkSession:
        """Spark session, started at first use."""
        return local_session("sensor-streams", self.log_file, warehouse=self.local.warehouse)

    @cached_property
    def catalog(self) -> Catalog:
        """Tables of the streams."""
        return catalog_of(self.spark, self.settings)

    @cached_property
    def registry(self) -> Registry:
        """Model registry."""
        return registry_of(self.settings)

    @property
    def landing(self) -> str:
        """Folder that the stream `readings` last read; the setting `landing` if it never ran."""
        bound = read_binding(Path(self.settings.checkpoints) / "readings")
        return self.settings.landing if bound is None or bound.landing is None else bound.landing

    def load_model(self, kind: str, version: str) -> LoadedModel:
        """Return a version of a model, ready for the workers. Raises ModelError if it cannot be used."""
        return self.registry.load_for_command(self.spark, kind, version)

    def champion(self, kind: str) -> LoadedModel | None:
        """Return the version with the alias champion, ready for the workers, or None."""
        return self.registry.load_champion(self.spark, kind)

    def train(self) -> TrainingReport:
        """Train on the current tables. Raises TableError if features are missing or computed with other settings."""
        check_features(self.records)
        report = train_on_tables(self.catalog, self.fleet, self.registry)
        record_training(self.records, [version.name for version in report.versions])
        return report

    @property
    def records(self) -> Records:
        """Records of the settings that the tables were computed with."""
        return Records.of(self.settings, self.catalog, self.fleet)

    def verify(self) -> list[Check]:
        """Verify all tables."""
        return verify(self.catalog, self.fleet, self.load_model, landing=self.landing)
