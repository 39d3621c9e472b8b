"""`local.yml`: what the deployment's names are on this machine."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from sensor_streams.errors import ConfigurationError
from sensor_streams.marked_yaml import load_names
from sensor_streams.settings import SESSION_CATALOG

LOCAL_FILE = Path("local.yml")
_VOLUME = re.compile(r"^/Volumes/([^/]+)/([^/]+)/([^/]+)(/.*)?$")
_SIZE = re.compile(r"([1-9][0-9]*)([mg])")


def absolute(path: str | Path) -> Path:
    """The path from the root on, without `..`, as Spark too tells it of the files that it finds there."""
    return Path(os.path.normpath(Path(path).absolute()))


class ClusterSizes(BaseModel):
    """What each cluster of `sensor-streams run` gets here. Two of them, with their tasks, fit 2 cores and 8 GiB."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Threads of a driver, which stand in for its workers.
    cores: Annotated[int, Field(ge=1)] = 2
    # The heap of a driver.
    memory: str = "1536m"
    # What a driver needs beside its heap, and what a task's Python process needs: only reckoned with, not enforced.
    overhead: str = "768m"
    python_memory: str = "512m"

    @field_validator("memory", "overhead", "python_memory")
    @classmethod
    def _size(cls, value: str) -> str:
        if not _SIZE.fullmatch(value):
            raise ValueError(f"{value!r} is no size: write 1536m or 2g")
        return value

    def needed(self, drivers: int, tasks: int) -> int:
        """The bytes that so many drivers and tasks need at the same time."""
        return drivers * (_bytes(self.memory) + _bytes(self.overhead)) + tasks * _bytes(self.python_memory)


def _bytes(size: str) -> int:
    return int(size[:-1]) * (2**30 if size.endswith("g") else 2**20)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    catalog: str = SESSION_CATALOG
    schema_name: str = Field("plant", alias="schema")
    tables: str = ".local/tables"
    catalog_file: str = ".local/catalog.json"
    models: str = ".local/models"
    log: str = ".local/log"
    volumes: dict[str, str] = {}
    variables: dict[str, str] = {}
    clusters: ClusterSizes = ClusterSizes()
    assumptions: dict[str, object] = {}

    @field_validator("catalog")
    @classmethod
    def _only_one(cls, value: str) -> str:
        if value != SESSION_CATALOG:
            raise ValueError(f"{value!r} is no catalog of this machine: it has one, write {SESSION_CATALOG}")
        return value


@dataclass(frozen=True)
class LocalConfig:
    """The local stand-ins, as absolute paths; `folder` is where `local.yml` lies."""

    folder: Path
    catalog: str
    schema: str
    tables: Path
    catalog_file: Path
    models: Path
    log: Path
    volumes: dict[str, Path]
    variables: dict[str, str]
    clusters: ClusterSizes
    # As it stands there: what it may hold is the runner's business.
    assumptions: dict[str, object]

    def path(self, name: str) -> str:
        """A path of the deployment on this machine: `/Volumes/…` becomes its folder, others stay as they are.

        Raises ConfigurationError for a volume that local.yml does not know.
        """
        found = _VOLUME.match(name)
        if not found:
            return name
        volume, rest = found.group(3), found.group(4) or ""
        if volume not in self.volumes:
            known = ", ".join(sorted(self.volumes)) or "none"
            raise ConfigurationError(f"{name}: local.yml knows no volume {volume} (it knows {known}): add it there")
        return str(self.volumes[volume]) + rest

    def settings(self) -> dict[str, object]:
        """The settings that follow from this file, for `load_settings(defaults=…)`."""
        volumes: dict[str, object] = {
            name: str(self.volumes[name]) for name in ("landing", "checkpoints", "archive") if name in self.volumes
        }
        return {
            "catalog": self.catalog,
            "schema": self.schema,
            "tables": str(self.tables),
            "catalog_file": str(self.catalog_file),
            "tracking_uri": f"sqlite:///{self.models / 'mlflow.db'}",
            "registry_uri": f"sqlite:///{self.models / 'mlflow.db'}",
            "artifacts": str(self.models / "artifacts"),
            "sensors": str(self.folder / "sensors.yml"),
            **volumes,
        }

    def under(self, folder: Path) -> "LocalConfig":
        """The same names with everything kept under another folder: one for each trial."""
        return LocalConfig(
            self.folder,
            self.catalog,
            self.schema,
            folder / "tables",
            folder / "catalog.json",
            folder / "models",
            folder / "log",
            {name: folder / "volumes" / name for name in self.volumes},
            self.variables,
            self.clusters,
            self.assumptions,
        )


def load_local(file: Path) -> LocalConfig:
    """Read `local.yml`. Raises ConfigurationError naming the file and the field."""
    try:
        # A bundle without this file gets the defaults; a file that was named must be there.
        absent = file == LOCAL_FILE and not file.exists()
        read = (
            _File(schema="plant") if absent else _File.model_validate(load_names(file, "run in the project's folder"))
        )
    except ValidationError as error:
        lines = [
            f"{file}: {'.'.join(map(str, p['loc']))}: {p['msg'].removeprefix('Value error, ')}" for p in error.errors()
        ]
        raise ConfigurationError("\n".join(lines)) from None
    folder = file.absolute().parent
    return LocalConfig(
        folder=folder,
        catalog=read.catalog,
        schema=read.schema_name,
        tables=folder / read.tables,
        catalog_file=folder / read.catalog_file,
        models=folder / read.models,
        log=folder / read.log,
        volumes={name: folder / path for name, path in read.volumes.items()},
        variables=dict(read.variables),
        clusters=read.clusters,
        assumptions=dict(read.assumptions),
    )
