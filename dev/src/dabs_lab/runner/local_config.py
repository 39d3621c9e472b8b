"""`local.yml`: replacements for the workspace on this machine: folders, arguments, environment, sizes."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dabs_lab.bundle.loading import read_file
from dabs_lab.bundle.problems import BundleError
from dabs_lab.errors import ConfigurationError

LOCAL_FILE = Path("local.yml")
_VOLUME = re.compile(r"^/Volumes/([^/]+)/([^/]+)/([^/]+)(/.*)?$")
_SIZE = re.compile(r"([1-9][0-9]*)([mg])")
_HOME = "${home}"


def absolute(path: str | Path) -> Path:
    """Return the absolute path without `..`, spelled as Spark spells the files that it finds there."""
    return Path(os.path.normpath(Path(path).absolute()))


class ClusterSizes(BaseModel):
    """Size of each cluster on this machine. Two of them, with their tasks, fit 2 cores and 8 GiB."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Threads of a driver; they take the place of workers.
    cores: Annotated[int, Field(ge=1)] = 2
    # Heap of a driver.
    memory: str = "1536m"
    # Memory of a driver in addition to its heap, and of a task's Python process: used for planning, not enforced.
    overhead: str = "768m"
    python_memory: str = "512m"

    @field_validator("memory", "overhead", "python_memory")
    @classmethod
    def _size(cls, value: str) -> str:
        if not _SIZE.fullmatch(value):
            raise ValueError(f"{value!r} is not a size: write 1536m or 2g")
        return value

    def needed(self, drivers: int, tasks: int) -> int:
        """Return the bytes that a number of drivers and tasks need at the same time."""
        return drivers * (_bytes(self.memory) + _bytes(self.overhead)) + tasks * _bytes(self.python_memory)


def _bytes(size: str) -> int:
    return int(size[:-1]) * (2**30 if size.endswith("g") else 2**20)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    home: str = ".local"
    volumes: dict[str, str] = {}
    arguments: dict[str, str] = {}
    environment: dict[str, str] = {}
    variables: dict[str, str] = {}
    clusters: ClusterSizes = ClusterSizes()
    assumptions: dict[str, object] = {}


@dataclass(frozen=True)
class LocalConfig:
    """The content of `local.yml`.

    folder: where the file is stored. home: folder of everything that a run writes; `${home}` in volumes and
    environment. volumes: name → folder. arguments: named task argument → its value here. environment: variables that
    each task gets in addition. variables: values of bundle variables without a default. assumptions: not checked here.
    """

    folder: Path
    home: Path
    declared_volumes: Mapping[str, str]
    arguments: Mapping[str, str]
    declared_environment: Mapping[str, str]
    variables: Mapping[str, str]
    clusters: ClusterSizes
    assumptions: Mapping[str, object]

    @property
    def log(self) -> Path:
        """Folder of the logs of drivers, tasks and commands."""
        return self.home / "log"

    @property
    def warehouse(self) -> Path:
        """Folder of Spark's own warehouse."""
        return self.home / "warehouse"

    @property
    def volumes(self) -> dict[str, Path]:
        """Folder of each volume."""
        return {name: self.folder / self._at_home(path) for name, path in self.declared_volumes.items()}

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of each task."""
        return {name: self._at_home(value) for name, value in self.declared_environment.items()}

    def path(self, name: str) -> str:
        """Return the local folder of a path below `/Volumes`; other paths are returned as they are.

        Raises ConfigurationError for a volume that local.yml does not name.
        """
        found = _VOLUME.match(name)
        if not found:
            return name
        volume, rest = found.group(3), found.group(4) or ""
        if volume not in self.volumes:
            known = ", ".join(sorted(self.volumes)) or "none"
            raise ConfigurationError(f"{name}: local.yml has no volume {volume} (it has {known}): add it there")
        return str(self.volumes[volume]) + rest

    def under(self, home: Path) -> "LocalConfig":
        """Return the same configuration with another home folder."""
        return replace(self, home=home)

    def with_volume(self, name: str, folder: Path) -> "LocalConfig":
        """Return the same configuration with another folder for one volume."""
        return replace(self, declared_volumes={**self.declared_volumes, name: str(folder)})

    def _at_home(self, value: str) -> str:
        return value.replace(_HOME, str(self.home))


def load_local(file: Path) -> LocalConfig:
    """Read `local.yml`. Raises ConfigurationError with file and field."""
    folder = file.absolute().parent
    try:
        # A bundle without this file gets the defaults; a file that was named must exist.
        absent = file == LOCAL_FILE and not file.exists()
        read = _File() if absent else _File.model_validate(read_file(folder, file.name).plain())
    except BundleError as error:
        raise ConfigurationError(str(error).replace(file.name, str(file), 1)) from None
    except ValidationError as error:
        lines = [
            f"{file}: {'.'.join(map(str, p['loc']))}: {p['msg'].removeprefix('Value error, ')}" for p in error.errors()
        ]
        raise ConfigurationError("\n".join(lines)) from None
    return LocalConfig(
        folder=folder,
        home=folder / read.home,
        declared_volumes=read.volumes,
        arguments=read.arguments,
        declared_environment=read.environment,
        variables=read.variables,
        clusters=read.clusters,
        assumptions=read.assumptions,
    )
