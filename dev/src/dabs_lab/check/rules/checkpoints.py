"""Rules on the checkpoints of streams within one target."""

import re
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import NamedTuple

from dabs_lab.check.checkpoint_paths import (
    is_folder_of_a_user,
    is_on_dbfs,
    may_hold_several,
    normal_path,
    why_it_does_not_last,
)
from dabs_lab.check.declaration import IS_A_FOLDER, IS_OF_A_STREAM, STREAMS, Finding, Outcome, cannot_tell, rule
from dabs_lab.check.stream_facts import is_shared_target, one_at_a_time, runs_streams
from dabs_lab.check.views import TargetView, TaskView

_PRODUCTION = "https://docs.databricks.com/aws/en/structured-streaming/production"
_CHECKPOINTS = "https://docs.databricks.com/aws/en/structured-streaming/checkpoints"
_REFERENCE = re.compile(r"[\"']?(--[\w-]+=)?\$\{[^}]*\}[\"']?\s*([,}\]].*)?")


class _Use(NamedTuple):
    task: TaskView
    stream: str | None
    path: str


def _uses(task: TaskView) -> list[_Use]:
    paths = task.streaming.checkpoints or ()
    streams: tuple[str | None, ...] = task.streaming.streams or ()
    named = streams if len(streams) == len(paths) else (None,) * len(paths)
    code = task.streaming.code
    if not streams and code is not None and code.checkpoints:
        # Two tasks that run one file run the same stream.
        named = (code.name,) * len(paths)
    return [_Use(task, stream, normal_path(path)) for stream, path in zip(named, paths, strict=True)]


@rule(
    id="D601",
    name="two-streams-on-one-checkpoint",
    severity="error",
    title="Two streams use the same checkpoint",
    reason=(
        "A checkpoint holds the offsets and the state of one query. A second query on it skips input, fails, or stops"
        " the first one."
    ),
    source=f"{_PRODUCTION} (a unique checkpoint for each query)",
    fix="Run a stream in one task only. Give each stream its own checkpoint path, for example one with its name.",
)
def two_streams_on_one_checkpoint(target: TargetView) -> Iterator[Outcome]:
    """Yield each task whose checkpoint is also one of an earlier task, or is named twice."""
    uses: dict[str, list[_Use]] = {}
    for task in target.tasks:
        for use in _uses(task):
            uses.setdefault(use.path, []).append(use)
    for path, found in uses.items():
        for first, second in combinations(found, 2):
            outcome = _shared(first, second, path)
            if outcome is not None:
                yield outcome
                break


def _shared(first: _Use, second: _Use, path: str) -> Outcome | None:
    """Return what two uses of one path mean. The same stream in two jobs has a rule of its own, D108."""
    task, other = second.task, first.task
    same_job = task.job is other.job
    same_stream = first.stream is not None and first.stream == second.stream
    if same_stream and (not same_job or one_at_a_time(task, other)):
        return None
    if not same_stream and _names_a_folder(task, other, path):
        return cannot_tell(task, IS_A_FOLDER)
    named = first.stream is not None and second.stream is not None
    if not named:
        unclear = one_at_a_time(task, other) if same_job else not (task.job.is_live and other.job.is_live)
        if unclear and task is not other:
            return cannot_tell(task, STREAMS)
    if not (runs_streams(task) and runs_streams(other)):
        return cannot_tell(task, IS_OF_A_STREAM)
    place = task.streaming.places["checkpoints"]
    if task is other:
        return Finding(place, f"task {task.name(path)} names checkpoint {path} twice")
    return Finding(place, f"{_name(other, path)} and {_name(task, path)} use checkpoint {path}")


def _name(task: TaskView, path: str) -> str:
    return f"task {task.name(path)} of job {task.job.key}"


def _names_a_folder(task: TaskView, other: TaskView, path: str) -> bool:
    """Return whether a path may be a folder in which each stream has one: the tasks get it from one common value."""
    if "{{" in path:
        return True
    if task is other:
        return False
    common = {normal_path(value) for value, _ in task.job.parameters.values()}
    places = [one.streaming.places["checkpoints"].position for one in (task, other)]
    if may_hold_several(path) or path in common or places[0] == places[1]:
        return True
    lines = (task.target.texts.of(place.file).content(place.line)[place.column - 1 :] for place in places)
    return any(_REFERENCE.fullmatch(line) for line in lines)


@rule(
    id="D603",
    name="checkpoint-does-not-last",
    severity="warning",
    title="A checkpoint is in a temporary folder, or in a new one for each run",
    reason=(
        "Without its checkpoint a stream starts from the beginning: it reads all input again, and may write it twice."
        " Its state is gone."
    ),
    source=_CHECKPOINTS,
    fix="Use a path in a volume or in cloud storage, with the stream's name and without ids of runs.",
)
def checkpoint_does_not_last(target: TargetView) -> Iterator[Outcome]:
    """Yield each task with such a checkpoint."""
    yield from _wrong_paths(target, why_it_does_not_last)


@rule(
    id="D604",
    name="checkpoint-of-a-user",
    severity="warning",
    title="A checkpoint in production is in a user's folder",
    reason=(
        "The folder belongs to one person: with the account it may be removed, and another identity, such as the"
        " service principal of the job, may not reach it."
    ),
    source=f"{_CHECKPOINTS}; https://docs.databricks.com/aws/en/dbfs/unity-catalog (volumes in place of DBFS)",
    fix="Use a path in a volume that the job's identity can write.",
)
def checkpoint_of_a_user(target: TargetView) -> Iterator[Outcome]:
    """Yield each task with such a checkpoint in a production target."""
    if is_shared_target(target):
        yield from _wrong_paths(target, lambda path: "is in a user's folder" if is_folder_of_a_user(path) else None)


@rule(
    id="D608",
    name="checkpoint-on-dbfs",
    severity="warning",
    title="A checkpoint in production is in the DBFS root or in a mount",
    reason=(
        "Both are deprecated, and new accounts do not have them. Every user of the workspace can read and delete files"
        " in the DBFS root, and Unity Catalog does not protect them."
    ),
    source="https://docs.databricks.com/aws/en/dbfs/dbfs-root",
    fix="Use a volume for new streams. A stream that moves needs a copy of its checkpoint, made while it is stopped.",
)
def checkpoint_on_dbfs(target: TargetView) -> Iterator[Outcome]:
    """Yield each task with such a checkpoint in a production target."""
    if is_shared_target(target):
        yield from _wrong_paths(target, lambda path: "is on DBFS" if is_on_dbfs(path) else None)


def _wrong_paths(target: TargetView, problem: Callable[[str], str | None]) -> Iterator[Outcome]:
    """Yield each task with a checkpoint that has a problem: "is a temporary folder"."""
    for task in target.tasks:
        for path in task.streaming.checkpoints or ():
            what = problem(path)
            if what is None:
                continue
            if runs_streams(task):
                place = task.streaming.places["checkpoints"]
                yield Finding(place, f"checkpoint {path} of task {task.name(path)} {what}")
            else:
                yield cannot_tell(task, IS_OF_A_STREAM)
            break
