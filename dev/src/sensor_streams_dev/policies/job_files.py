"""What the three shapes promise, asserted on the resolved jobs: who breaks one loses data, or sleep."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dabs_lab.bundle.reader import Bundle
from sensor_streams.runtime.entry_points import ENTRY_POINTS, accepted_parameters
from sensor_streams.streams import BY_NAME
from sensor_streams_dev.policies.job_shapes import SHAPES, one_checkpoint_folder, one_live
from sensor_streams_dev.policies.separation import apart, live_statuses, names
from sensor_streams_dev.policies.stream_tasks import PACKAGE, Broken, Path, of_ours
from sensor_streams_dev.policies.stream_tasks import parameters as _parameters
from sensor_streams_dev.policies.stream_tasks import streams_of_task as _streams
from sensor_streams_dev.policies.stream_tasks import tasks as _tasks

# How each cloud calls what it does not take away again.
_ON_DEMAND = {
    "aws_attributes": "ON_DEMAND",
    "azure_attributes": "ON_DEMAND_AZURE",
    "gcp_attributes": "ON_DEMAND_GCP",
}
DEDICATED = ("DATA_SECURITY_MODE_DEDICATED", "SINGLE_USER")


def broken_policies(bundle: Bundle) -> list[str]:
    """Each broken promise as one line: where (file:line), which job, what is wrong, why it matters; none when all hold.

    The jobs are those of the target that the bundle was read for, as far as they run this project's wheel; other jobs
    are free, and a bundle without any such job breaks nothing. A stream that stands in no task or in two, a lost
    retry, shared clusters, two live shapes, a checkpoint that knows the shape, a parameter or an entry point that the
    wheel does not have, a schema that two targets share: form is all right in each, so that no validation of form
    would say a word.
    """
    jobs = of_ours(bundle.written.get("jobs") or {})
    if not jobs:
        return []
    missing = [shape for shape in SHAPES if shape not in jobs]
    found: list[Broken] = [(("jobs",), f"job {shape} is gone: it is one of the three shapes") for shape in missing]
    for key, job in jobs.items():
        found += [(("jobs", key, *path), f"job {key}: {what}") for path, what in _of_any_job(job)]
    for shape in SHAPES:
        if shape in jobs:
            found += [(("jobs", shape, *path), f"job {shape}: {what}") for path, what in _of_shape(shape, jobs[shape])]
    live = bundle.variables.get("live")
    found += one_live(jobs, live)
    found += one_checkpoint_folder(jobs)
    found += [*names(bundle), *apart(bundle)]
    told = [f"{_where(bundle, path)}: {what}" for path, what in found]
    for path, what in live_statuses(live):
        place = bundle.variable_position(path)
        told.append(f"{place.file}:{place.line}: {what}")
    return list(dict.fromkeys(told))


def _where(bundle: Bundle, path: Path) -> str:
    """Where a value was written; where it is missing, what it is missing in."""
    while path:
        try:
            place = bundle.position(path)
        except KeyError:
            path = path[:-1]
            continue
        return f"{place.file}:{place.line}"
    return "databricks.yml"


def _of_any_job(job: Mapping[str, Any]) -> Iterator[Broken]:
    if job.get("max_concurrent_runs") != 1:
        yield ("max_concurrent_runs",), "max_concurrent_runs is not 1: development mode sets 4 where it is left out"
    if "project" not in (job.get("tags") or {}):
        yield ("tags",), "has no tag project: nobody finds its cost again"
    used = {task.get("job_cluster_key") for _, task in _tasks(job)}
    for at, cluster in enumerate(job.get("job_clusters") or []):
        where: Path = ("job_clusters", at, "new_cluster")
        key = cluster.get("job_cluster_key")
        if key in used:
            yield from ((where, what) for what in _of_cluster(key, cluster.get("new_cluster") or {}))
    for path, task in _tasks(job):
        if task.get("new_cluster"):
            own = _of_cluster(task["task_key"], task["new_cluster"])
            yield from (((*path, "new_cluster"), what) for what in own)
        yield from ((path + more, f"task {task['task_key']}: {what}") for more, what in _of_any_task(task))


def _of_cluster(key: str, cluster: Mapping[str, Any]) -> Iterator[str]:
    if "autoscale" in cluster:
        yield f"cluster {key} scales by itself, and would take workers away from streams that wait"
    if cluster.get("data_security_mode") not in DEDICATED:
        yield (
            f"cluster {key} is not in dedicated mode: before Spark 4.3 its batches would run in the root session, so "
            "the transaction ids of one stream would apply to all, and writes would be skipped"
        )
    for cloud, on_demand in _ON_DEMAND.items():
        told = cluster.get(cloud)
        # What is left out may be spot: AWS takes it so.
        if told and told.get("availability") != on_demand and not told.get("first_on_demand"):
            yield f"cluster {key} may have a spot driver: losing it ends every stream on it"


def _of_any_task(task: Mapping[str, Any]) -> Iterator[Broken]:
    wheel = task.get("python_wheel_task") or {}
    here: Path = ("python_wheel_task",)
    name = wheel.get("entry_point")
    if wheel.get("package_name") != PACKAGE:
        yield (*here, "package_name"), f"package_name is {wheel.get('package_name')!r}: the wheel is {PACKAGE}"
    if name not in ENTRY_POINTS:
        yield (
            (*here, "entry_point"),
            f"entry point {name!r} is not in the wheel, which has {', '.join(ENTRY_POINTS)}",
        )
    else:
        for parameter in _parameters(task):
            if parameter not in accepted_parameters(name):
                yield (
                    (*here, "named_parameters", parameter),
                    f"entry point {name} takes no parameter {parameter!r}: it would end at once",
                )
    if not any("whl" in library for library in task.get("libraries") or []):
        yield ("libraries",), "installs no wheel"
    if not (task.get("email_notifications") or {}).get("on_failure"):
        yield (
            ("email_notifications",),
            "tells nobody when it fails; a job's own notification is held back while a task retries",
        )


def _of_shape(shape: str, job: Mapping[str, Any]) -> Iterator[Broken]:
    where: dict[str, str] = {}
    for path, task in _tasks(job):
        place = (*path, "python_wheel_task", "named_parameters", "streams")
        for name in _streams(task):
            if name not in BY_NAME:
                yield place, f"task {task['task_key']}: no stream is called {name!r}"
            elif name in where:
                both = f"{where[name]} and {task['task_key']}"
                yield place, f"stream {name} is in two tasks, {both}: they would refuse each other"
            where[name] = task["task_key"]
        for needed, why in (("run", "{{job.run_id}}"), ("attempt", "{{task.execution_count}}")):
            if _parameters(task).get(needed) != why:
                yield (
                    (*place[:-1], needed),
                    f"task {task['task_key']}: parameter {needed} is not {why}: a retry would wait for its own lease",
                )
        told = task.get("email_notifications") or {}
        if not (task.get("health") or {}).get("rules") or not told.get("on_streaming_backlog_exceeded"):
            yield (*path, "health"), f"task {task['task_key']}: no backlog rule with somebody who is told"
    for name in BY_NAME:
        if name not in where:
            yield ("tasks",), f"stream {name} is in no task: its table would stand still without a word"
    yield from _FORMS[shape](job)


def _single_task(job: Mapping[str, Any]) -> Iterator[Broken]:
    if len(list(_tasks(job))) != 1:
        yield ("tasks",), "has not one task"
    if (job.get("continuous") or {}).get("task_retry_mode") != "ON_FAILURE":
        yield ("continuous", "task_retry_mode"), "task_retry_mode is not ON_FAILURE: the API's default is NEVER"
    for path, task in _tasks(job):
        if "max_retries" in task:
            yield (*path, "max_retries"), "max_retries is not for a continuous job"
        yield from _endless(path, task)


def _shared_cluster(job: Mapping[str, Any]) -> Iterator[Broken]:
    yield from _scheduled(job)
    if len({task.get("job_cluster_key") for _, task in _tasks(job)}) != 1:
        yield ("tasks",), "its tasks are not on one job cluster"
    for path, task in _tasks(job):
        yield from _retries(path, task, 3)
        if _parameters(task).get("trigger") != "available-now":
            yield (
                (*path, "python_wheel_task", "named_parameters", "trigger"),
                f"task {task['task_key']}: trigger is not available-now: after a task without an end nothing starts",
            )
        if not task.get("timeout_seconds"):
            yield (*path, "timeout_seconds"), f"task {task['task_key']}: no timeout: what hangs would hang for ever"
        reads = {source for name in _streams(task) if name in BY_NAME for source in BY_NAME[name].sources}
        outside = reads - set(_streams(task))
        after = {d["task_key"] for d in task.get("depends_on") or []}
        needed = {other["task_key"] for _, other in _tasks(job) if outside & set(_streams(other))}
        if needed - after:
            yield (
                (*path, "depends_on"),
                f"task {task['task_key']} does not depend on {', '.join(sorted(needed - after))}: it would start "
                "before what it reads is drained",
            )


def _cluster_per_task(job: Mapping[str, Any]) -> Iterator[Broken]:
    yield from _scheduled(job)
    if job.get("trigger"):
        yield ("trigger",), "has a trigger: its tasks have no end, and a schedule starts them again when a run ends"
    clusters: dict[str, str] = {}
    for path, task in _tasks(job):
        key = task.get("job_cluster_key", "none")
        if key in clusters:
            yield (
                (*path, "job_cluster_key"),
                f"tasks {clusters[key]} and {task['task_key']} are both on cluster {key}: its end is the end of both",
            )
        clusters[key] = task["task_key"]
        if task.get("depends_on"):
            yield (*path, "depends_on"), f"task {task['task_key']} would wait for the end of a task that has none"
        yield from _retries(path, task, -1)
        yield from _endless(path, task)
    if len(clusters) < 2:
        yield ("tasks",), "has no two clusters"


_FORMS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[Broken]]] = {
    "single_task": _single_task,
    "shared_cluster": _shared_cluster,
    "cluster_per_task": _cluster_per_task,
}


def _scheduled(job: Mapping[str, Any]) -> Iterator[Broken]:
    if job.get("continuous"):
        yield ("continuous",), "is continuous: that takes neither dependencies nor retries of a task"
    started_by = [kind for kind in ("schedule", "trigger") if job.get(kind)]
    if not started_by:
        yield ("schedule",), "has no schedule: nothing would ever start it"
    if len(started_by) > 1:
        yield ("trigger",), "has a schedule and a trigger: the service takes one"
    arrival = (job.get("trigger") or {}).get("file_arrival") or {}
    folders = {str(_parameters(task).get("landing")).rstrip("/") for _, task in _tasks(job)}
    if arrival and not any(f"{arrival.get('url')}/".startswith(f"{folder}/") for folder in folders):
        yield (
            ("trigger", "file_arrival", "url"),
            f"watches {arrival.get('url')} and files arrive in {', '.join(folders)}",
        )
    if (job.get("queue") or {}).get("enabled") is not False:
        yield ("queue",), "queue is on: the ticks that find a run alive would wait for its end instead of being skipped"
    if not (job.get("notification_settings") or {}).get("no_alert_for_skipped_runs"):
        yield ("notification_settings",), "skipped runs are told, and skipping is what the schedule is for"


def _retries(path: Path, task: Mapping[str, Any], wanted: int) -> Iterator[Broken]:
    if task.get("max_retries") != wanted:
        found = task.get("max_retries")
        yield (*path, "max_retries"), f"task {task['task_key']}: max_retries is {found} and not {wanted}"
    if not task.get("min_retry_interval_millis"):
        yield (*path, "min_retry_interval_millis"), f"task {task['task_key']}: retries without an interval"


def _endless(path: Path, task: Mapping[str, Any]) -> Iterator[Broken]:
    if _parameters(task).get("trigger") == "available-now":
        yield (
            (*path, "python_wheel_task", "named_parameters", "trigger"),
            f"task {task['task_key']}: ends when its input is drained, and its cluster starts anew each time",
        )
    if task.get("timeout_seconds"):
        yield (*path, "timeout_seconds"), f"task {task['task_key']}: a timeout ends a task that has no end"
