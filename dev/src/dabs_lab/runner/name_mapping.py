"""What the deployment's names are on this machine, for a job that runs here: folders, catalog, schema, settings."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dabs_lab.bundle import Bundle
from dabs_lab.jobs import JobSpec
from dabs_lab.jobs.job_spec import PythonFileTask, TaskSpec, WheelTask
from dabs_lab.runner.local_config import LocalConfig
from sensor_streams.errors import ConfigurationError, EnvironmentProblem
from sensor_streams.settings import PREFIX

# What a workspace has of itself, and this machine has to be told.
_STAND_INS = ("tables", "catalog_file", "tracking_uri", "registry_uri", "artifacts")


@dataclass(frozen=True)
class Places:
    """`files`: where the deployment keeps the bundle's files; `catalogs`, `schemas`: the names that it creates."""

    local: LocalConfig
    folder: Path
    files: str
    catalogs: frozenset[str]
    schemas: frozenset[str]

    @classmethod
    def of(cls, bundle: Bundle, local: LocalConfig, landing: Path | None = None) -> "Places":
        """The places of a bundle; `landing`: another folder in which files of readings arrive."""
        if landing is not None:
            if not landing.is_dir():
                raise ConfigurationError(f"--input or --landing {landing}: there is no such folder")
            local = replace(local, volumes={**local.volumes, "landing": landing})
        schemas = bundle.written.get("schemas", {}).values()
        return cls(
            local,
            bundle.folder,
            str(bundle.sections.get("workspace", {}).get("file_path", "/Workspace")),
            frozenset(str(schema.get("catalog_name")) for schema in schemas),
            frozenset(str(schema.get("name")) for schema in schemas),
        )

    def path(self, text: str) -> str:
        """A path of the deployment on this machine. Raises ConfigurationError for one that is not known."""
        if text == self.files or text.startswith(f"{self.files}/"):
            return str(self.folder) + text.removeprefix(self.files)
        return self.local.path(text)

    def argument(self, text: str) -> str:
        """An argument of a task with this machine's names: `--landing=/Volumes/…` gets the folder here.

        Raises ConfigurationError for a volume that local.yml does not know.
        """
        name, equals, value = text.partition("=")
        if not (name.startswith("--") and equals):
            return self.path(text)
        if name == "--catalog" and value in self.catalogs:
            return f"{name}={self.local.catalog}"
        if name == "--schema" and value in self.schemas:
            return f"{name}={self.local.schema}"
        return f"{name}={self.path(value)}"

    def command(self, task: TaskSpec, arguments: Iterable[str]) -> list[str]:
        """The words after `python -m dabs_lab.runner.task_process`."""
        here = [self.argument(text) for text in arguments]
        if isinstance(task.work, WheelTask):
            return ["wheel", task.work.package, task.work.entry_point, *here]
        return ["file", self.path(task.work.file), *here]

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """What stands in for what a workspace has of itself, beside the rest of an environment."""
        settings = self.local.settings()
        return {**base, **{f"{PREFIX}{name.upper()}": str(settings[name]) for name in _STAND_INS}}

    def prepare(self, spec: JobSpec) -> None:
        """Make the folders of the volumes, which a deployment creates, and refuse what has no place here.

        Raises ConfigurationError for an unknown volume or a file that is not there, EnvironmentProblem for memory.
        """
        for task in spec.tasks:
            named = task.work.named_parameters.values() if isinstance(task.work, WheelTask) else ()
            for text in (*task.work.parameters, *named):
                self.path(text)
            if isinstance(task.work, PythonFileTask) and not Path(self.path(task.work.file)).is_file():
                raise ConfigurationError(f"task {task.key}: there is no file {self.path(task.work.file)}")
        self._check_memory(spec)
        for folder in (*self.local.volumes.values(), self.local.models):
            folder.mkdir(parents=True, exist_ok=True)

    def _check_memory(self, spec: JobSpec) -> None:
        shared = {task.cluster.key for task in spec.tasks if not task.cluster.own}
        drivers = len(shared) + sum(task.cluster.own for task in spec.tasks)
        needed = self.local.clusters.needed(drivers, len(spec.tasks))
        try:
            there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (ValueError, OSError):
            return
        if needed > there:
            raise EnvironmentProblem(
                f"{drivers} drivers and {len(spec.tasks)} tasks need {needed / 2**30:.1f} GiB and this machine has "
                f"{there / 2**30:.1f}: make clusters.memory in local.yml smaller"
            )
