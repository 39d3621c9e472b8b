"""`{{job.run_id}}` and the like in parameters: Databricks' dynamic value references.

Rules (docs.databricks.com, "What is a dynamic value reference?"): what is no reference by its form, or belongs to no
known namespace, stays as it stands, in silence; an unknown name in a known namespace is an error. Names of the user's
own with other characters than letters, digits and _ stand in backticks.
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dabs_lab.errors import ConfigurationError

_BRACES = re.compile(r"\{\{([^{}]*)\}\}")
_NAME = re.compile(r"(?:([A-Za-z0-9_]+)|`([^`]+)`)(\.|$)")
_NAMESPACES = ("job", "task", "tasks", "workspace")
# Namespaces of things that the runner does not have.
_OF_OTHERS = {"input": "for-each tasks", "backfill": "backfills"}
# The older form, which the platform still reads, and the name of today that is taken for it. From where each counts
# attempts is documented for neither.
_OLD = {
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
    """A reference to something that is not there; the message names it and what there is."""


@dataclass(frozen=True)
class Reference:
    """One reference of a text: as it stands, and its names without backticks."""

    text: str
    path: tuple[str, ...]


@dataclass(frozen=True)
class OtherTask:
    """What a later task may ask about one that has ended."""

    run_id: int
    # In small letters, as the platform writes it: success, failed, excluded, canceled, timedout, upstream_failed, …
    result_state: str
    execution_count: int
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunContext:
    """What references of a run are filled with."""

    job_id: int
    job_name: str
    run_id: int
    start_time: datetime
    trigger_type: str
    trigger_time: datetime
    parameters: Mapping[str, str] = field(default_factory=dict)
    workspace_id: str = "0"
    workspace_url: str = "localhost"
    # A repair is asked for by hand in the workspace; there is none here.
    repair_count: int = 0


@dataclass(frozen=True)
class TaskContext:
    """The same for one attempt of a task."""

    name: str
    run_id: int
    execution_count: int
    others: Mapping[str, OtherTask] = field(default_factory=dict)


def references(text: str) -> Iterator[Reference]:
    """The references of a text whose namespace is known. Raises UnknownReferenceError for the form of old."""
    for match in _BRACES.finditer(text):
        if (found := _reference(match)) is not None:
            yield found


def left_as_they_are(text: str) -> list[str]:
    """What stands in double braces and is no reference: the platform hands it on without a word."""
    return [match[0] for match in _BRACES.finditer(text) if _reference(match) is None]


def check(reference: Reference, parameters: Set[str] | None, upstream: Set[str]) -> None:
    """Raises UnknownReferenceError for what will not be there when the task starts.

    `parameters` are the job's (None where they cannot be used: in themselves), `upstream` the tasks that this one waits
    for, directly or not.
    """
    first, rest = reference.path[0], reference.path[1:]
    known = {"job": _JOB, "task": _TASK, "workspace": _WORKSPACE}.get(first)
    if first in _OF_OTHERS:
        raise UnknownReferenceError(f"{reference.text} is for {_OF_OTHERS[first]}, which are not run here")
    if known is not None:
        _one_of(reference, rest, 0, known)
        if rest[0] in ("start_time", "trigger"):
            _check_time(reference, rest)
        elif first == "job" and rest[0] == "parameters":
            _length(reference, rest, 2)
            if parameters is None:
                raise UnknownReferenceError(f"{reference.text}: a job parameter cannot use another one")
            if rest[1] not in parameters:
                raise UnknownReferenceError(f"{reference.text}: there is no such job parameter ({_list(parameters)})")
        else:
            _length(reference, rest, 1)
        return
    if not rest or rest[0] not in upstream:
        raise UnknownReferenceError(f"{reference.text}: no such task comes before this one ({_list(upstream)})")
    _one_of(reference, rest, 1, _OTHER_TASK)
    _length(reference, rest, 3 if rest[1] == "values" else 2)


def resolve(text: str, run: RunContext, task: TaskContext | None) -> str:
    """A text with its references filled in; without a task, for a job parameter, those of tasks are errors.

    Raises UnknownReferenceError for what is not there, such as a value that the other task did not set.
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
    if inner in _OLD:
        raise UnknownReferenceError(f"{match[0]} is the form of old: write {{{{{_OLD[inner]}}}}}")
    path: list[str] = []
    at, more = 0, True
    while more:
        part = _NAME.match(inner, at)
        if part is None:
            return None
        path.append(part[1] or part[2])
        at, more = part.end(), part[3] == "."
    return Reference(match[0], tuple(path)) if path[0] in _NAMESPACES or path[0] in _OF_OTHERS else None


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
                raise UnknownReferenceError(f"{found.text}: task {other} set no such value ({_list(values.keys())})")
            return values[name]
        case ("tasks", other, name) if task is not None:
            return str(getattr(task.others[other], name))
    raise UnknownReferenceError(f"{found.text} cannot be used in a job parameter")


def time_value(moment: datetime, part: str) -> str:
    """A part of a time, in UTC, as a text: `iso_date`, `is_weekday`, `timestamp_ms`, …"""
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
        raise UnknownReferenceError(f"{reference.text} is not known: after {before} comes one of {', '.join(known)}")


def _length(reference: Reference, rest: tuple[str, ...], length: int) -> None:
    if len(rest) != length:
        raise UnknownReferenceError(
            f"{reference.text} is not known: it has {'more' if len(rest) > length else 'fewer'} parts"
        )


def _list(names: Set[str]) -> str:
    return f"there is {', '.join(sorted(names))}" if names else "there is none"
