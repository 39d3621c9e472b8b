"""View of a bundle that is resolved for one target, for rules, and the views below it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path as FilePath

from dabs_lab.bundle.problems import Path
from dabs_lab.bundle.yaml_nodes import Node
from dabs_lab.check.file_texts import FileTexts
from dabs_lab.check.job_views import PAUSED, TRIGGERS, UNPAUSED, ClusterView, JobView, TaskView
from dabs_lab.check.places import Place, place_at
from dabs_lab.check.settings import CheckSettings
from dabs_lab.check.view import ResourceView, View

__all__ = [
    "PAUSED",
    "TRIGGERS",
    "UNPAUSED",
    "ClusterView",
    "JobView",
    "ResourceView",
    "TargetView",
    "TaskView",
    "View",
]


@dataclass(frozen=True)
class TargetView:
    """Bundle resolved for one target, as the CLI would deploy it."""

    name: str
    # development, production, or an empty text.
    mode: str
    root: Node = field(repr=False)
    # All files merged, with all targets, before references are resolved and defaults are set.
    written: Node = field(repr=False)
    folder: FilePath
    texts: FileTexts = field(repr=False)
    settings: CheckSettings = field(repr=False)
    # Read from `bundle validate -o json`: references and comments are gone.
    resolved: bool = False

    def at(self, *path: str | int) -> Place:
        """Return the place of a value, or of the nearest value around it: `at("workspace", "root_path")`."""
        return place_at(self.root, path, self.texts)

    def resources(self, kind: str) -> list[ResourceView]:
        """Return the resources of a kind, such as `pipelines`."""
        return [ResourceView(self, path, node) for path, node in self._of(kind)]

    @cached_property
    def jobs(self) -> tuple[JobView, ...]:
        """Return the jobs."""
        return tuple(JobView(self, path, node) for path, node in self._of("jobs"))

    @property
    def tasks(self) -> Iterator[TaskView]:
        """Yield the tasks of all jobs."""
        for job in self.jobs:
            yield from job.tasks

    def _of(self, kind: str) -> list[tuple[Path, Node]]:
        kinds = self.root.get("resources", kind) or Node({})
        return [(("resources", kind, key), node) for key, node in kinds.children.items() if node.kind == "map"]
