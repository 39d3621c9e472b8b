"""Databricks' dynamic value references, such as `{{job.run_id}}`, in parameters.

Rules (docs.databricks.com, "What is a dynamic value reference?"): text that does not have the syntax of a reference, or
has an unknown namespace, stays unchanged without a warning. An unknown name in a known namespace is an error. Names
with other characters than letters, digits and _ are in backticks.
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dabs_lab.errors import ConfigurationError

_BRACES = re.compile(r"\{\{([^{}]*)\}\}")
_NAME = re.compile(r"(?:([A-Za-z0-9_]+)|`([^`]+)`)(\.|$)")
_NAMESPACES = ("job", "task", "tasks", "workspace")
# Namespaces that the runner does not support.
_UNSUPPORTED = {"input": "for-each tasks", "backfill": "backfills"}
# The legacy syntax, which the platform still reads, and the current name.
_LEGACY = {
    "job_id": "job.id",
    "run_id": "task.run_id",
    "parent_run_id": "job.run_id",
    "task_key": "task.name",
    "task_retry_count": "task.execution_count",
    "start_date": "job.start_time.iso_date",
    "start_time": "job.start_time.timestamp_ms",
}
_JOB = ("id", "name", "run_id", "repair_count", "start_time", "parameters", "trigger")
_TASK = ("name", "run_id", "execution_count")
_OTHER_TASK = ("run_id", "result_state", "execution_count", "values")
_WORKSPACE = ("id", "url")
_TIMES = (
    *("iso_weekday", "is_weekday", "iso_date", "iso_datetime", "year", "month", "day", "hour", "minute", "second"),
    "timestamp_ms",
)


class UnknownReferenceError(ConfigurationError):
    """A reference to an unknown name; the message lists the known names."""


@dataclass(frozen=True)
class Reference:
    """One reference in a text: its source text, and its names without backticks."""

    text: str
    path: tuple[str, ...]


@dataclass(frozen=True)
class OtherTask:
    """Values of a task that has ended, for references in later tasks."""

    run_id: int
    # In lower case, as the platform writes it: success, failed, excluded, canceled, timedout, upstream_failed, …
    result_state: str
    execution_count: int
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunContext:
    """Values of references to a run."""

    job_id: int
    job_name: str
    run_id: int
    start_time: datetime
    trigger_type: str
    trigger_time: datetime
    parameters: Mapping[str, str] = field(default_factory=dict)
    workspace_id: str = "0"
    workspace_url: str = "localhost"
    repair_count: int = 0


@dataclass(frozen=True)
class TaskContext:
    """Values of references to one attempt of a task."""

    name: str
    run_id: int
    execution_count: int
    others: Mapping[str, OtherTask] = field(default_factory=dict)


def references(text: str) -> Iterator[Reference]:
    """Return the references of a text whose namespace is known. Raises UnknownReferenceError for legacy syntax."""
    for match in _BRACES.finditer(text):
        if (found := _reference(match)) is not None:
            yield found


def literal_braces(text: str) -> list[str]:
    """Return the texts in double braces that are not references; the platform passes them on unchanged."""
    return [match[0] for match in _BRACES.finditer(text) if _reference(match) is None]


def check(reference: Reference, parameters: Set[str] | None, upstream: Set[str]) -> None:
    """Raise UnknownReferenceError for a reference that has no value when the task starts.

    parameters: names of the job's parameters; None inside a job parameter, which cannot refer to another one.
    upstream: all direct and indirect dependencies of the task.
    """
    first, rest = reference.path[0], reference.path[1:]
    known = {"job": _JOB, "task": _TASK, "workspace": _WORKSPACE}.get(first)
    if first in _UNSUPPORTED:
        raise UnknownReferenceError(f"{reference.text} is for {_UNSUPPORTED[first]}, which are not supported here")
    if known is not None:
        _one_of(reference, rest, 0, known)
        if rest[0] in ("start_time", "trigger"):
            _check_time(reference, rest)
        elif first == "job" and rest[0] == "parameters":
            _length(reference, rest, 2)
            if parameters is None:
                raise UnknownReferenceError(f"{reference.text}: a job parameter cannot use another one")
            if rest[1] not in parameters:
                raise UnknownReferenceError(f"{reference.text}: unknown job parameter ({_list(parameters)})")
        else:
            _length(reference, rest, 1)
        return
    if not rest or rest[0] not in upstream:
        raise UnknownReferenceError(f"{reference.text}: not a dependency of this task ({_list(upstream)})")
    _one_of(reference, rest, 1, _OTHER_TASK)
    _length(reference, rest, 3 if rest[1] == "values" else 2)


def resolve(text: str, run: RunContext, task: TaskContext | None) -> str:
    """Return a text with its references replaced by values.

    task: None inside a job parameter, where references to tasks are errors. Raises UnknownReferenceError for a
    reference without a value, such as a task value that was not set.
    """

    def value(match: re.Match[str]) -> str:
        found = _reference(match)
        if found is None:
            return match[0]
        check(found, run.parameters.keys() if task else None, task.others.keys() if task else frozenset())
        return _value(found, run, task)

    return _BRACES.sub(value, text)


def _reference(match: re.Match[str]) -> Reference | None:
    inner = match[1]
    if inner in _LEGACY:
        raise UnknownReferenceError(f"{match[0]} is legacy syntax: write {{{{{_LEGACY[inner]}}}}}")
    path: list[str] = []
    at, more = 0, True
    while more:
        part = _NAME.match(inner, at)
        if part is None:
            return None
        path.append(part[1] or part[2])
        at, more = part.end(), part[3] == "."
    return Reference(match[0], tuple(path)) if path[0] in _NAMESPACES or path[0] in _UNSUPPORTED else None


def _value(found: Reference, run: RunContext, task: TaskContext | None) -> str:
    match found.path:
        case ("job", "start_time", part):
            return time_value(run.start_time, part)
        case ("job", "trigger", "time", part):
            return time_value(run.trigger_time, part)
        case ("job", "trigger", _):
            return run.trigger_type
        case ("job", "parameters", name):
            return run.parameters[name]
        case ("job", name):
            return str({"id": run.job_id, "name": run.job_name, "run_id": run.run_id}.get(name, run.repair_count))
        case ("workspace", name):
            return run.workspace_id if name == "id" else run.workspace_url
        case ("task", name) if task is not None:
            return str({"name": task.name, "run_id": task.run_id}.get(name, task.execution_count))
        case ("tasks", other, "values", name) if task is not None:
            values = task.others[other].values
            if name not in values:
                raise UnknownReferenceError(
                    f"{found.text}: task {other} did not set this value ({_list(values.keys())})"
                )
            return values[name]
        case ("tasks", other, name) if task is not None:
            return str(getattr(task.others[other], name))
    raise UnknownReferenceError(f"{found.text} cannot be used in a job parameter")


def time_value(moment: datetime, part: str) -> str:
    """Return a part of a time, in UTC, as text: `iso_date`, `is_weekday`, `timestamp_ms`, …"""
    at = moment.astimezone(UTC)
    match part:
        case "iso_weekday":
            return str(at.isoweekday())
        case "is_weekday":
            return str(at.isoweekday() < 6).lower()
        case "iso_date":
            return at.date().isoformat()
        case "iso_datetime":
            return at.replace(tzinfo=None).isoformat(timespec="seconds")
        case "timestamp_ms":
            return str(int(at.timestamp() * 1000))
    return str(getattr(at, part))


def _check_time(reference: Reference, rest: tuple[str, ...]) -> None:
    place = 1
    if rest[0] == "trigger":
        _one_of(reference, rest, 1, ("type", "time"))
        if rest[1] == "type":
            return _length(reference, rest, 2)
        place = 2
    _one_of(reference, rest, place, _TIMES)
    return _length(reference, rest, place + 1)


def _one_of(reference: Reference, rest: tuple[str, ...], at: int, known: tuple[str, ...]) -> None:
    if len(rest) <= at or rest[at] not in known:
        before = ".".join(reference.path[: len(reference.path) - len(rest) + at])
        raise UnknownReferenceError(f"{reference.text} is unknown: after {before} write one of {', '.join(known)}")


def _length(reference: Reference, rest: tuple[str, ...], length: int) -> None:
    if len(rest) != length:
        raise UnknownReferenceError(
            f"{reference.text} is unknown: it has too {'many' if len(rest) > length else 'few'} parts"
        )


def _list(names: Set[str]) -> str:
    return f"known: {', '.join(sorted(names)) or 'none'}"
