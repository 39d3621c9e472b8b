"""Policies on the resolved jobs: rules for every job, and rules for each of the three shapes."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dabs_lab.bundle.reader import Bundle
from sensor_streams.runtime.entry_points import ENTRY_POINTS, accepted_parameters
from sensor_streams.streams import BY_NAME, TASKS
from sensor_streams_dev.policies.cluster_rules import cluster_rules
from sensor_streams_dev.policies.job_shapes import SHAPES, pause_statuses, single_checkpoint_folder
from sensor_streams_dev.policies.linter_rules import broken_rules
from sensor_streams_dev.policies.notification_rules import notification_rules, stream_notification_rules
from sensor_streams_dev.policies.policy_file import PolicyFile, load_policies
from sensor_streams_dev.policies.separation import invalid_live, invalid_names, shared_names
from sensor_streams_dev.policies.stream_tasks import (
    PACKAGE,
    Finding,
    Path,
    parameter_path,
    project_jobs,
    unknown_streams,
)
from sensor_streams_dev.policies.stream_tasks import parameters as _parameters
from sensor_streams_dev.policies.stream_tasks import streams_of_task as _streams
from sensor_streams_dev.policies.stream_tasks import tasks as _tasks

_PARAMETERS = ("python_wheel_task", "named_parameters")


def broken_policies(bundle: Bundle) -> list[str]:
    """Return one line per broken policy: file:line, job, what is wrong, why or what to do.

    Checks the jobs of the bundle's target that run this project's wheel, and no other jobs. `bundle validate` accepts
    all of these mistakes, because each value has a valid type. Raises ConfigurationError for a wrong policies.yml.
    """
    jobs = project_jobs(bundle)
    unchecked = [
        f"{_position(bundle, ('jobs', key))}: job {key} is not checked: {problem.path}: {problem.summary}"
        for key, problem in bundle.malformed_jobs.items()
    ]
    if not jobs:
        return unchecked
    file = load_policies(bundle.folder)
    missing = [shape for shape in SHAPES if shape not in jobs and shape not in bundle.malformed_jobs]
    found: list[Finding] = [(("jobs",), f"job {s} is missing: restore resources/{s}.job.yml") for s in missing]
    for key, job in jobs.items():
        found += [(("jobs", key, *path), f"job {key}: {what}") for path, what in _job_rules(job, file)]
    for shape in SHAPES:
        if shape in jobs:
            broken = _shape_rules(shape, jobs[shape], file)
            found += [(("jobs", shape, *path), f"job {shape}: {what}") for path, what in broken]
    live = bundle.variables.get("live")
    found += pause_statuses(jobs, live)
    found += single_checkpoint_folder(jobs)
    found += [*invalid_names(bundle), *shared_names(bundle)]
    lines = unchecked + [f"{_position(bundle, path)}: {what}" for path, what in found]
    lines += broken_rules(bundle, jobs, file)
    for path, what in invalid_live(live):
        position = bundle.variable_position(path)
        lines.append(f"{position.file}:{position.line}: {what}")
    return list(dict.fromkeys(lines))


def _position(bundle: Bundle, path: Path) -> str:
    """Return file:line of a value; if it is missing, of the nearest parent that is written."""
    while path:
        try:
            position = bundle.position(path)
        except KeyError:
            path = path[:-1]
            continue
        return f"{position.file}:{position.line}"
    return "databricks.yml"


def _job_rules(job: Mapping[str, Any], file: PolicyFile) -> Iterator[Finding]:
    if job.get("max_concurrent_runs") != 1 and not any(_streams(task) for _, task in _tasks(job)):
        yield ("max_concurrent_runs",), "max_concurrent_runs is not 1: write it, development mode sets 4 by default"
    for tag in file.policies.tags:
        if tag not in (job.get("tags") or {}):
            yield ("tags",), f"the tag {tag} is missing: add it, or {file.change('tags')}"
    used = {task.get("job_cluster_key") for _, task in _tasks(job)}
    for at, cluster in enumerate(job.get("job_clusters") or []):
        key = cluster.get("job_cluster_key")
        if key in used:
            broken = cluster_rules(key, cluster.get("new_cluster") or {}, file)
            yield from ((("job_clusters", at, "new_cluster"), what) for what in broken)
    for path, task in _tasks(job):
        if task.get("new_cluster"):
            own = cluster_rules(task["task_key"], task["new_cluster"], file)
            yield from (((*path, "new_cluster"), what) for what in own)
        for field, what in (*_task_rules(task), *notification_rules(task, file)):
            yield _of_task(path, task, field, what)
        for name in _refused_parameters(task):
            what = f"entry point {task['python_wheel_task']['entry_point']} takes no parameter {name!r}: remove it, or "
            yield parameter_path(job, path, name), f"task {task['task_key']}: {what}the task fails at its start"


def _of_task(path: Path, task: Mapping[str, Any], field: Path, what: str) -> Finding:
    return (*path, *field), f"task {task['task_key']}: {what}"


def _task_rules(task: Mapping[str, Any]) -> Iterator[Finding]:
    wheel = task.get("python_wheel_task") or {}
    name = wheel.get("entry_point")
    if wheel.get("package_name") != PACKAGE:
        found = wheel.get("package_name")
        yield ("python_wheel_task", "package_name"), f"package_name is {found!r}: write {PACKAGE}"
    if name not in ENTRY_POINTS:
        what = f"entry point {name!r} is not in the wheel: write one of {', '.join(ENTRY_POINTS)}"
        yield ("python_wheel_task", "entry_point"), what
    libraries = task.get("libraries") or []
    if not any("whl" in library for library in libraries):
        yield ("libraries",), "libraries has no wheel: add it"
    if not any("requirements" in library for library in libraries):
        what = "add requirements: ../cluster/requirements.txt; without it a retry may get other versions than its run"
        yield ("libraries",), f"libraries has no locked packages: {what}"


def _refused_parameters(task: Mapping[str, Any]) -> list[str]:
    entry_point = (task.get("python_wheel_task") or {}).get("entry_point")
    if entry_point not in ENTRY_POINTS:
        return []
    return [name for name in _parameters(task) if name not in accepted_parameters(entry_point)]


def _shape_rules(shape: str, job: Mapping[str, Any], file: PolicyFile) -> Iterator[Finding]:
    running: set[str] = set()
    for path, task in _tasks(job):
        for name in unknown_streams(task):
            what = f"unknown stream {name!r}: write {' or '.join(TASKS)}, or one of {', '.join(BY_NAME)}"
            yield _of_task(path, task, (*_PARAMETERS, "streams"), what)
        running.update(_streams(task))
        for needed, reference in (("run", "{{job.run_id}}"), ("attempt", "{{task.execution_count}}")):
            if _parameters(task).get(needed) != reference:
                what = f"parameter {needed} is not {reference}: write it, or a retry waits for its own lease"
                yield _of_task(path, task, (*_PARAMETERS, needed), what)
        for field, what in stream_notification_rules(task, file):
            yield _of_task(path, task, field, what)
    for name in BY_NAME:
        if name not in running:
            yield ("tasks",), f"stream {name} is in no task: add it to one, or its table is never updated"
    yield from _RULES_OF_SHAPE[shape](job, file)


def _single_task(job: Mapping[str, Any], _: PolicyFile) -> Iterator[Finding]:
    if len(list(_tasks(job))) != 1:
        yield ("tasks",), "needs exactly one task"
    if (job.get("continuous") or {}).get("task_retry_mode") != "ON_FAILURE":
        yield ("continuous", "task_retry_mode"), "task_retry_mode is not ON_FAILURE: write it, the default is NEVER"
    yield from _continuous(job)


def _shared_cluster(job: Mapping[str, Any], file: PolicyFile) -> Iterator[Finding]:
    yield from _scheduled(job)
    if len({task.get("job_cluster_key") for _, task in _tasks(job)}) != 1:
        yield ("tasks",), "its tasks use several job clusters: write the same job_cluster_key in all"
    for path, task in _tasks(job):
        yield from _retries(path, task, file, "shared_cluster")
        if _parameters(task).get("trigger") != "available-now":
            what = "trigger is not available-now: write it, or tasks that depend on this one never start"
            yield _of_task(path, task, (*_PARAMETERS, "trigger"), what)
        if not task.get("timeout_seconds"):
            what = "timeout_seconds is missing: add it, or a task that hangs never ends"
            yield _of_task(path, task, ("timeout_seconds",), what)
        reads = {source for name in _streams(task) for source in BY_NAME[name].sources}
        outside = reads - set(_streams(task))
        after = {d["task_key"] for d in task.get("depends_on") or []}
        needed = {other["task_key"] for _, other in _tasks(job) if outside & set(_streams(other))}
        if needed - after:
            missing = ", ".join(sorted(needed - after))
            what = (
                f"does not depend on {missing}: add it to depends_on, or the task starts before its input is complete"
            )
            yield _of_task(path, task, ("depends_on",), what)


def _cluster_per_task(job: Mapping[str, Any], file: PolicyFile) -> Iterator[Finding]:
    yield from _scheduled(job)
    if job.get("trigger"):
        yield ("trigger",), "has a trigger: write a schedule, which restarts the continuous tasks when a run ends"
    for path, task in _tasks(job):
        yield from _retries(path, task, file, "cluster_per_task")
    yield from _continuous(job)
    if len({task.get("job_cluster_key") for _, task in _tasks(job)}) < 2:
        yield ("tasks",), "needs at least two clusters"


_RULES_OF_SHAPE: Mapping[str, Callable[[Mapping[str, Any], PolicyFile], Iterator[Finding]]] = {
    "single_task": _single_task,
    "shared_cluster": _shared_cluster,
    "cluster_per_task": _cluster_per_task,
}


def _scheduled(job: Mapping[str, Any]) -> Iterator[Finding]:
    if not any(job.get(kind) for kind in ("schedule", "trigger")):
        yield ("schedule",), "has no schedule: add schedule or trigger, or it never starts"
    arrival = (job.get("trigger") or {}).get("file_arrival") or {}
    folders = {str(_parameters(task).get("landing")).rstrip("/") for _, task in _tasks(job)}
    if arrival and not any(f"{arrival.get('url')}/".startswith(f"{folder}/") for folder in folders):
        what = f"watches {arrival.get('url')}, but files arrive in {', '.join(folders)}: write the same folder"
        yield ("trigger", "file_arrival", "url"), what
    if (job.get("queue") or {}).get("enabled") is not False:
        yield ("queue",), "queue is on: write queue: {enabled: false}, so that starts during a run are skipped"
    if not (job.get("notification_settings") or {}).get("no_alert_for_skipped_runs"):
        yield ("notification_settings",), "alerts on skipped runs are on: write no_alert_for_skipped_runs: true"


def _retries(path: Path, task: Mapping[str, Any], file: PolicyFile, shape: str) -> Iterator[Finding]:
    wanted = getattr(file.policies.retries, shape)
    if task.get("max_retries") != wanted:
        what = f"max_retries is {task.get('max_retries')}: write {wanted}, or {file.change('retries', shape)}"
        yield _of_task(path, task, ("max_retries",), what)


def _continuous(job: Mapping[str, Any]) -> Iterator[Finding]:
    for path, task in _tasks(job):
        if _parameters(task).get("trigger") == "available-now":
            what = "trigger is available-now: write an interval, or its cluster restarts each time"
            yield _of_task(path, task, (*_PARAMETERS, "trigger"), what)
