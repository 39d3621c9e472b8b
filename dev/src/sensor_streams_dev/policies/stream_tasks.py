"""Tasks that run this project's wheel, with the parameters that they get. The policies apply only to them."""

from collections.abc import Iterator, Mapping, Set
from typing import Any

from dabs_lab.bundle.reader import Bundle
from dabs_lab.jobs.job_spec import pushed_down
from sensor_streams.runtime.entry_points import ENTRY_POINTS
from sensor_streams.settings import split_names
from sensor_streams.streams import BY_NAME, TASKS, streams_of, unknown_names

PACKAGE = "sensor_streams"
# A task with these parameters runs this wheel, even if its package_name is wrong.
_OWN_PARAMETERS = {"catalog", "schema", "checkpoints"}

Path = tuple[str | int, ...]
# Path of the value in the resources, and the message.
Finding = tuple[Path, str]


def parameters(task: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the named parameters of a wheel task; those of its job too, if the task is from `tasks`."""
    wheel = task.get("python_wheel_task") or {}
    return wheel.get("named_parameters") or {}


def parameter_path(job: Mapping[str, Any], path: Path, name: str) -> Path:
    """Return the path in the job of a parameter that the task at `path` gets, from the job or from the task."""
    for at, parameter in enumerate(job.get("parameters") or []):
        if parameter.get("name") == name:
            return ("parameters", at, "default")
    return (*path, "python_wheel_task", "named_parameters", name)


def streams_of_task(task: Mapping[str, Any]) -> list[str]:
    """Return the names of the streams that a task runs; the name of a group stands for its streams."""
    names = _stream_names(task)
    unknown = unknown_names(names)
    known = [name for name in names if name not in unknown]
    return [stream.name for stream in streams_of(known)] if known else []


def unknown_streams(task: Mapping[str, Any]) -> list[str]:
    """Return the names in the parameter `streams` that are neither a stream nor a group of streams."""
    return unknown_names(_stream_names(task))


def tasks(job: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the tasks of a job that run this project's wheel, with their path in the job.

    Their named parameters contain those of the job, see `pushed_down`.
    """
    of_job = {str(one.get("name")): one.get("default") for one in job.get("parameters") or []}
    for at, task in enumerate(job.get("tasks") or []):
        if _runs_wheel(task, {*parameters(task), *of_job}):
            wheel, named = task.get("python_wheel_task") or {}, pushed_down(parameters(task), of_job)
            more = {"python_wheel_task": {**wheel, "named_parameters": named}} if named else {}
            yield ("tasks", at), {**task, **more}


def _stream_names(task: Mapping[str, Any]) -> list[str]:
    return split_names(str(parameters(task).get("streams") or ""))


def project_jobs(bundle: Bundle) -> dict[str, Mapping[str, Any]]:
    """Return the jobs with at least one task that runs this project's wheel, without malformed ones."""
    jobs = bundle.resources_without_nulls.get("jobs") or {}
    complete = {key: job for key, job in jobs.items() if key not in bundle.malformed_jobs}
    return {key: job for key, job in complete.items() if job and any(True for _ in tasks(job))}


def _runs_wheel(task: Mapping[str, Any], names: Set[str]) -> bool:
    """True if a task runs this project's wheel; names: of its own parameters and of those of the job."""
    wheel = task.get("python_wheel_task") or {}
    if wheel.get("package_name") == PACKAGE or parameters(task).keys() >= _OWN_PARAMETERS:
        return True
    if wheel.get("entry_point") in ENTRY_POINTS and names >= _OWN_PARAMETERS:
        return True
    return not {*BY_NAME, *TASKS}.isdisjoint(_stream_names(task))
