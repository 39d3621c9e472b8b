"""Typed views of jobs, their clusters and their tasks, for rules."""

import re
from dataclasses import dataclass
from functools import cached_property

from dabs_lab.bundle.yaml_nodes import Node
from dabs_lab.check.places import Place
from dabs_lab.check.stream_code import stream_code
from dabs_lab.check.streaming import NO_STREAMS, Streaming, streaming_of
from dabs_lab.check.task_sources import source_of
from dabs_lab.check.view import ResourceView, View, as_text

# Fields of a job that start its runs. `triggers` is the list form, in Beta.
TRIGGERS = ("continuous", "schedule", "trigger", "triggers")
PAUSED, UNPAUSED = "PAUSED", "UNPAUSED"
# Kinds of tasks that run code on Spark, and so may run streams.
SPARK_TASKS = ("notebook_task", "python_wheel_task", "spark_python_task", "spark_jar_task", "spark_submit_task")
_COMPUTE = ("job_cluster_key", "existing_cluster_id", "new_cluster")
_PARAMETER = re.compile(r"\{\{\s*job\.parameters\.([^}\s]+)\s*\}\}")


@dataclass(frozen=True, eq=False)
class JobView(ResourceView):
    """Job."""

    @property
    def continuous(self) -> View | None:
        """Return the section `continuous`, or None."""
        return self.view("continuous")

    @property
    def triggers(self) -> tuple[str, ...]:
        """Return the names of the fields that start runs, see TRIGGERS."""
        return tuple(name for name in TRIGGERS if self.has(name))

    @property
    def is_live(self) -> bool:
        """Return whether the job starts runs by itself in this target."""
        single = any(self.text(name, "pause_status") != PAUSED for name in self.triggers if name != "triggers")
        return single or any(entry.text("pause_status") != PAUSED for entry in self.items("triggers"))

    @property
    def clusters(self) -> dict[str, "ClusterView"]:
        """Return the job clusters by key."""
        found: dict[str, ClusterView] = {}
        for entry in self.items("job_clusters"):
            node = entry.get("new_cluster")
            if node is not None and node.kind == "map":
                key = entry.text("job_cluster_key")
                found[key] = ClusterView(self.target, (*entry.path, "new_cluster"), node, key)
        return found

    @property
    def parameters(self) -> dict[str, tuple[str, Place]]:
        """Return the job's parameters: name → default, place."""
        return {
            entry.text("name"): (as_text(entry.get("default")), entry.at("default"))
            for entry in self.items("parameters")
        }

    @cached_property
    def tasks(self) -> tuple["TaskView", ...]:
        """Return the tasks. The inner task of a for_each_task follows its task."""
        found: list[TaskView] = []
        for entry in self.items("tasks"):
            found.append(TaskView(self.target, entry.path, entry.node, self))
            inner = entry.view("for_each_task", "task")
            if inner is not None:
                found.append(TaskView(self.target, inner.path, inner.node, self, found[-1]))
        return tuple(found)


@dataclass(frozen=True, eq=False)
class ClusterView(View):
    """Cluster of a job or of a task; `key` is the job_cluster_key, empty for a task's own cluster."""

    key: str = ""


@dataclass(frozen=True, eq=False)
class TaskView(View):
    """Task of a job; `outer` is the for_each_task around it."""

    job: JobView
    outer: "TaskView | None" = None

    @property
    def key(self) -> str:
        """Return the task_key."""
        return self.text("task_key")

    @property
    def kind(self) -> str:
        """Return the field with the task's work, such as `notebook_task`, or an empty text."""
        return next((name for name in self.node.children if name.endswith("_task") and self.has(name)), "")

    @property
    def can_stream(self) -> bool:
        """Return whether the task runs code on Spark."""
        return self.kind in SPARK_TASKS

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Return the keys of the tasks that this one waits for."""
        return tuple(entry.text("task_key") for entry in self.items("depends_on"))

    @property
    def cluster(self) -> ClusterView | None:
        """Return the job cluster or the new cluster of the task; None for other compute, and if it is not found."""
        own = self.view("new_cluster")
        if own is not None:
            return ClusterView(self.target, own.path, own.node)
        return self.job.clusters.get(self.text("job_cluster_key"))

    @property
    def is_serverless(self) -> bool:
        """Return whether the task runs code on serverless compute: it names no cluster."""
        return self.can_stream and not any(self.has(name) for name in _COMPUTE)

    @property
    def parameters(self) -> dict[str, tuple[str, Place]]:
        """Return the parameters that the task gets: name → value, place. Those of the job take precedence."""
        own: dict[str, tuple[str, Place]] = {}
        for fields in (("notebook_task", "base_parameters"), ("python_wheel_task", "named_parameters")):
            for name, node in (self.get(*fields) or Node({})).children.items():
                own[name] = (as_text(node), self.at(*fields, name))
        for kind in SPARK_TASKS:
            words = (self.get(kind, "parameters") or Node(())).items
            for at, word in enumerate(words):
                name, equals, value = word.text.partition("=")
                if not name.startswith("--"):
                    continue
                following = words[at + 1] if at + 1 < len(words) else None
                if not equals and following is not None and not as_text(following).startswith("--"):
                    value = as_text(following)
                own[name.lstrip("-")] = (value, self.at(kind, "parameters", at))
        of_job = self.job.parameters
        filled = {name: (_resolved(value, of_job), place) for name, (value, place) in own.items()}
        return filled | of_job if self.can_stream else filled

    @cached_property
    def streaming(self) -> Streaming:
        """Return what the task streams: see `Streaming`."""
        if not self.can_stream:
            return NO_STREAMS
        target = self.target
        comments = [] if target.resolved else target.texts.comments_of(self.node)
        # The CLI's output may be of any folder.
        source = None if target.resolved else source_of(self.node, target.root, target.folder)
        return streaming_of(
            self.parameters,
            comments,
            self.at(),
            target.settings,
            continuous=self.job.has("continuous"),
            code=stream_code(source, target.folder) if source is not None else None,
            file=self.at(self.kind, "notebook_path" if self.kind == "notebook_task" else "python_file"),
        )

    def name(self, value: str = "") -> str:
        """Return the key, with the line of the source file that shows the stream, or a value of it."""
        return f"{self.key}{self.streaming.seen(value)}"


def _resolved(value: str, of_job: dict[str, tuple[str, Place]]) -> str:
    """Replace references such as `{{job.parameters.checkpoints}}` by the defaults of the job's parameters."""

    def default(match: re.Match[str]) -> str:
        return of_job[match[1]][0] if match[1] in of_job else match[0]

    return _PARAMETER.sub(default, value)
