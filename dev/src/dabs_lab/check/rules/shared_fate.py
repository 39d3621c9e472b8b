"""Rules on streams that fail together, because they share a driver."""

from collections.abc import Iterator

from dabs_lab.check.declaration import STREAMS, TRIGGER, Finding, Outcome, cannot_tell, rule
from dabs_lab.check.views import JobView, TargetView, TaskView

_MULTIPLE = "https://docs.databricks.com/aws/en/structured-streaming/multiple-streams"
_PRODUCTION = "https://docs.databricks.com/aws/en/structured-streaming/production"


@rule(
    id="D301",
    name="endless-tasks-on-one-cluster",
    severity="warning",
    title="Several tasks run endless streams on one cluster",
    reason=(
        "The driver is a shared resource: the streams compete for its CPU, memory and scheduler, and if it fails,"
        " all of them fail. Important streams belong on clusters of their own."
    ),
    source=_MULTIPLE,
    fix="Give each task its own job cluster, or suppress the rule for streams that may fail together.",
)
def endless_tasks_on_one_cluster(target: TargetView) -> Iterator[Outcome]:
    """Yield each cluster with several endless tasks, at the second one."""
    for job in target.jobs:
        for field, tasks in _sharing(job):
            endless = [task for task in tasks if task.streaming.is_stream and task.streaming.endless]
            unknown = [task for task in tasks if task not in endless and task.streaming.trigger != "bounded"]
            if len(endless) > 1:
                # The CLI sorts tasks by name: report the later one in the file.
                endless.sort(key=lambda task: task.at().position)
                names = ", ".join(task.name() for task in endless)
                cluster = endless[1].text(field)
                yield Finding(endless[1].at(field), f"tasks {names} run endless streams on cluster {cluster}")
            elif len(endless) + len(unknown) > 1:
                for task in unknown:
                    yield cannot_tell(task, TRIGGER if task.streaming.is_stream else STREAMS)


@rule(
    id="D302",
    name="too-many-streams-per-driver",
    severity="warning",
    title="One driver runs more streams than the limit",
    reason=(
        "All streams of a driver share its CPU, memory and scheduler, so each new one slows the others. The limit is a"
        " setting of this check, because the right number depends on the streams: 8 by default."
    ),
    source=_MULTIPLE,
    fix="Spread the streams over several clusters, or set `limits.streams_per_driver` in dabs-lab.yml.",
    certain=False,
)
def too_many_streams_per_driver(target: TargetView) -> Iterator[Outcome]:
    """Yield each cluster that runs too many streams at the same time."""
    limit = target.settings.limits["streams_per_driver"]
    for job in target.jobs:
        for _, tasks in _on_cluster(job):
            parallel = _parallel(job, tasks)
            for task in tasks:
                if task.streaming.number is None:
                    yield cannot_tell(task, STREAMS)
            for together in ([parallel] if len(parallel) > 1 else []) + [[task] for task in tasks]:
                named = [task for task in together if task.streaming.number]
                number = sum(task.streaming.number or 0 for task in named)
                if number > limit:
                    place = named[0].streaming.places.get("streams", named[0].at())
                    names = ", ".join(task.name() for task in named)
                    yield Finding(place, f"task {names}: {number} streams on one driver, the limit is {limit}")
                    break


def _on_cluster(job: JobView) -> Iterator[tuple[str, list[TaskView]]]:
    """Yield the field that names the cluster and the tasks that may stream on it, for each cluster."""
    found: dict[tuple[str, str], list[TaskView]] = {}
    for task in job.tasks:
        if task.can_stream and task.streaming.is_stream is not False:
            for field in ("job_cluster_key", "existing_cluster_id", "new_cluster"):
                if task.has(field):
                    found.setdefault((field, task.text(field) or str(task.path)), []).append(task)
                    break
    yield from ((field, tasks) for (field, _), tasks in found.items())


def _sharing(job: JobView) -> Iterator[tuple[str, list[TaskView]]]:
    """Yield field and tasks for each cluster on which several tasks run at the same time."""
    for field, tasks in _on_cluster(job):
        parallel = _parallel(job, tasks)
        if len(parallel) > 1:
            yield field, parallel


def _parallel(job: JobView, tasks: list[TaskView]) -> list[TaskView]:
    """Return the tasks that wait for none of the others: those run at the same time."""
    graph = {task.key: set(task.depends_on) for task in job.tasks}
    keys = {task.key for task in tasks}
    found: list[TaskView] = []
    for task in tasks:
        before: set[str] = set()
        following = {task.key, task.outer.key} if task.outer else {task.key}
        while following:
            following = {on for key in following for on in graph.get(key, ())} - before
            before |= following
        if not before & keys:
            found.append(task)
    return found
