"""`local.yml`: what the deployment's names are on this machine."""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from sensor_streams.errors import ConfigurationError

_VOLUME = re.compile(r"^/Volumes/([^/]+)/([^/]+)/([^/]+)(/.*)?$")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    catalog: str = "spark_catalog"
    schema_name: str = "plant"
    tables: str = ".local/tables"
    catalog_file: str = ".local/catalog.json"
    models: str = ".local/models"
    log: str = ".local/log"
    volumes: dict[str, str] = {}
    variables: dict[str, str] = {}


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
            name: str(self.volumes[name]) for name in ("landing", "checkpoints") if name in self.volumes
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
        )


def load_local(file: Path) -> LocalConfig:
    """Read `local.yml`. Raises ConfigurationError naming the file and the field."""
    try:
        content = yaml.safe_load(file.read_text("utf-8")) or {}
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read ({error.strerror}): run in the project's folder") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file}: not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{file}: write one `name: value` a line")
    if "schema" in content:
        content["schema_name"] = content.pop("schema")
    try:
        read = _File(**content)
    except ValidationError as error:
        lines = [f"{file}: {'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors()]
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
    )
