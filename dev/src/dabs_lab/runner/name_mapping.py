"""Map names of a deployment to this machine: paths, arguments and environment of the tasks of a job."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dabs_lab.bundle import Bundle
from dabs_lab.errors import ConfigurationError, MachineError
from dabs_lab.jobs import JobSpec
from dabs_lab.jobs.job_spec import PythonFileTask, TaskSpec, WheelTask
from dabs_lab.runner.local_config import LocalConfig


@dataclass(frozen=True)
class NameMapping:
    """`folder`: the bundle on this machine. `files`: where the deployment stores the bundle's files."""

    local: LocalConfig
    folder: Path
    files: str

    @classmethod
    def of(cls, bundle: Bundle, local: LocalConfig) -> "NameMapping":
        """Return the mapping for a bundle."""
        files = bundle.sections.get("workspace", {}).get("file_path", "/Workspace")
        return cls(local, bundle.folder, str(files))

    def path(self, text: str) -> str:
        """Return the local path for a path of the deployment. Raises ConfigurationError for an unknown volume."""
        if text == self.files or text.startswith(f"{self.files}/"):
            return str(self.folder) + text.removeprefix(self.files)
        return self.local.path(text)

    def argument(self, text: str) -> str:
        """Return an argument of a task with this machine's names: `--out=/Volumes/…` gets the local folder.

        A named argument that `arguments` of local.yml lists gets the value from there. Raises ConfigurationError for a
        volume that local.yml does not name.
        """
        name, equals, value = text.partition("=")
        if not (name.startswith("--") and equals):
            return self.path(text)
        return f"{name}={self.local.arguments.get(name.removeprefix('--'), self.path(value))}"

    def command(self, task: TaskSpec, arguments: Iterable[str]) -> list[str]:
        """Return the words after `python -m dabs_lab.runner.task_process`."""
        here = [self.argument(text) for text in arguments]
        if isinstance(task.work, WheelTask):
            return ["wheel", task.work.package, task.work.entry_point, *here]
        return ["file", self.path(task.work.file), *here]

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return an environment with the variables that local.yml declares for tasks."""
        return {**base, **self.local.environment}

    def prepare(self, spec: JobSpec) -> None:
        """Create the folders of the volumes; check paths and memory.

        Raises ConfigurationError for an unknown volume or a missing file, MachineError for too little memory.
        """
        for task in spec.tasks:
            named = (f"--{name}={value}" for name, value in spec.named_parameters(task).items())
            for text in (*task.work.parameters, *named):
                self.argument(text)
            if isinstance(task.work, PythonFileTask) and not Path(self.path(task.work.file)).is_file():
                raise ConfigurationError(f"task {task.key}: file {self.path(task.work.file)} not found")
        self._check_memory(spec)
        for folder in (self.local.home, *self.local.volumes.values()):
            folder.mkdir(parents=True, exist_ok=True)

    def _check_memory(self, spec: JobSpec) -> None:
        shared = {task.cluster.key for task in spec.tasks if not task.cluster.own}
        drivers = len(shared) + sum(task.cluster.own for task in spec.tasks)
        needed = self.local.clusters.needed(drivers, len(spec.tasks))
        try:
            available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (ValueError, OSError):
            return
        if needed > available:
            raise MachineError(
                f"{drivers} drivers and {len(spec.tasks)} tasks need {needed / 2**30:.1f} GiB and this machine has "
                f"{available / 2**30:.1f}: make clusters.memory in local.yml smaller"
            )
