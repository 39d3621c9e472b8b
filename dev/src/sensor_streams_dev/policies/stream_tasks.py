"""Tasks that run this project's wheel. The policies apply only to them."""

from collections.abc import Iterator, Mapping
from typing import Any

from dabs_lab.bundle.reader import Bundle
from sensor_streams.streams import BY_NAME, TASKS

PACKAGE = "sensor_streams"
# A task with these parameters runs this wheel, even if its package_name is wrong.
_OWN_PARAMETERS = {"catalog", "schema", "checkpoints"}

Path = tuple[str | int, ...]
# Path of the value in the resources, and the message.
Finding = tuple[Path, str]


def parameters(task: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the named parameters of a wheel task."""
    wheel = task.get("python_wheel_task") or {}
    return wheel.get("named_parameters") or {}


def streams_of_task(task: Mapping[str, Any]) -> list[str]:
    """Return the names of the streams that a task runs."""
    return [name.strip() for name in str(parameters(task).get("streams") or "").split(",") if name.strip()]


def tasks(job: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the tasks of a job that run this project's wheel, with their path in the job."""
    for at, task in enumerate(job.get("tasks") or []):
        if _runs_wheel(task):
            yield ("tasks", at), task


def project_jobs(bundle: Bundle) -> dict[str, Mapping[str, Any]]:
    """Return the jobs with at least one task that runs this project's wheel, without malformed ones."""
    jobs = bundle.resources_without_nulls.get("jobs") or {}
    complete = {key: job for key, job in jobs.items() if key not in bundle.malformed_jobs}
    return {key: job for key, job in complete.items() if job and any(True for _ in tasks(job))}


def _runs_wheel(task: Mapping[str, Any]) -> bool:
    wheel = task.get("python_wheel_task") or {}
    if wheel.get("package_name") == PACKAGE or parameters(task).keys() >= _OWN_PARAMETERS:
        return True
    return not {*BY_NAME, *TASKS}.isdisjoint(streams_of_task(task))
