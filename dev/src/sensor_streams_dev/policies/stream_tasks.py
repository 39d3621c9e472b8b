"""Tasks that run this project's wheel: policies apply to them, and not to other jobs of the same bundle."""

from collections.abc import Iterator, Mapping
from typing import Any

from sensor_streams.streams import BY_NAME, TASKS

PACKAGE = "sensor_streams"
# A task that hands these over means this wheel, whatever its package is called by mistake.
_OWN_PARAMETERS = {"catalog", "schema", "checkpoints"}

Path = tuple[str | int, ...]
Broken = tuple[Path, str]


def parameters(task: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the named parameters of a wheel task."""
    wheel = task.get("python_wheel_task") or {}
    return wheel.get("named_parameters") or {}


def streams_of_task(task: Mapping[str, Any]) -> list[str]:
    """Return the names of the streams that a task runs."""
    return [name.strip() for name in str(parameters(task).get("streams") or "").split(",") if name.strip()]


def tasks(job: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the tasks of a job that run this project's wheel, with their place; others are free."""
    for at, task in enumerate(job.get("tasks") or []):
        if _is_ours(task):
            yield ("tasks", at), task


def of_ours(jobs: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the jobs that have at least one such task."""
    return {key: job for key, job in jobs.items() if job and any(True for _ in tasks(job))}


def _is_ours(task: Mapping[str, Any]) -> bool:
    wheel = task.get("python_wheel_task") or {}
    told = parameters(task)
    means_ours = told.keys() >= _OWN_PARAMETERS or not {*BY_NAME, *TASKS}.isdisjoint(streams_of_task(task))
    return wheel.get("package_name") == PACKAGE or means_ours
