"""Rules on dependencies between the tasks of a job."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from dabs_lab.check.declaration import TRIGGER, Finding, Outcome, cannot_tell, rule
from dabs_lab.check.views import JobView, TargetView, TaskView

_DEPENDS_ON = "JSON schema of the Databricks CLI, Task.depends_on: all these tasks must complete before the task"
# Conditions that let a task run after its dependencies have failed.
_AFTER_FAILURE = ("ALL_DONE", "AT_LEAST_ONE_FAILED", "ALL_FAILED")


@rule(
    id="D201",
    name="task-behind-endless-task",
    severity="warning",
    title="A task depends on a task whose stream never ends",
    reason=(
        "A task starts after its dependencies have completed. A stream with an endless trigger does not complete, so"
        " the task never starts."
    ),
    source=_DEPENDS_ON,
    fix="Let the stream end (trigger availableNow), or start both tasks in parallel.",
    certain=False,
)
def task_behind_endless_task(target: TargetView) -> Iterator[Outcome]:
    """Yield each dependency on a task with an endless trigger. D101 reports those in continuous jobs."""
    for job in target.jobs:
        streaming: dict[str, list[TaskView]] = {}
        for task in job.tasks:
            if task.can_stream and task.streaming.is_stream is not False:
                streaming.setdefault((task.outer or task).key, []).append(task)
        for task in job.tasks if not job.has("continuous") else ():
            for entry in task.items("depends_on"):
                name = entry.text("task_key")
                for stream in streaming.get(name, []):
                    # A timeout ends the stream, as a failure.
                    if task.text("run_if") in _AFTER_FAILURE and stream.number("timeout_seconds"):
                        continue
                    if stream.streaming.trigger is None:
                        yield cannot_tell(stream, TRIGGER)
                    elif stream.streaming.endless:
                        yield Finding(
                            entry.at(), f"task {task.key} never starts: task {stream.name()} runs an endless stream"
                        )


@rule(
    id="D202",
    name="dependency-cycle",
    severity="error",
    title="The dependencies of tasks form a cycle",
    reason="A task starts after its dependencies have completed, so no task of the cycle can start.",
    source=_DEPENDS_ON,
    fix="Remove one of the dependencies.",
)
def dependency_cycle(target: TargetView) -> Iterator[Outcome]:
    """Yield each cycle once, at one of its dependencies."""
    for job in target.jobs:
        graph = dependencies(job)
        while cycle := cycle_in(graph):
            waiting = [task for task in job.tasks if task.key == cycle[1]]
            entries = [one for task in waiting for one in task.items("depends_on") if one.text("task_key") == cycle[0]]
            yield Finding(entries[0].at(), f"tasks of job {job.key} wait for each other: {' → '.join(reversed(cycle))}")
            graph = {key: on - set(cycle) for key, on in graph.items() if key not in cycle}


@rule(
    id="D203",
    name="dependency-on-unknown-task",
    severity="error",
    title="A task depends on a task that the job does not have",
    reason="A dependency names a task of the same job. `databricks bundle validate` checks only its form.",
    source=_DEPENDS_ON,
    fix="Write the key of a task of the same job. A task of another job is started with run_job_task.",
)
def dependency_on_unknown_task(target: TargetView) -> Iterator[Outcome]:
    """Yield each dependency on a key that no task of the job has."""
    for job in target.jobs:
        keys = {task.key for task in job.tasks if task.outer is None}
        if any("<" in key or "${" in key for key in keys):
            continue
        for task in job.tasks:
            for entry in task.items("depends_on"):
                name = entry.text("task_key")
                if name and name not in keys and "<" not in name and "${" not in name:
                    yield Finding(
                        entry.at("task_key"), f"task {task.key} depends on {name}: job {job.key} has no such task"
                    )


def dependencies(job: JobView) -> dict[str, set[str]]:
    """Return the keys of the tasks with those that each depends on, as far as the job has them."""
    tasks = {task.key: task for task in job.tasks if task.outer is None and task.key}
    return {key: set(task.depends_on).intersection(tasks) for key, task in tasks.items()}


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """Return the keys of a cycle, the first one also at the end; each depends on the one before. Empty if none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []
