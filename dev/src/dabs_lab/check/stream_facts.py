"""Facts about the streams of a task that several rules need. None means: cannot tell."""

from collections.abc import Iterator

from dabs_lab.bundle.modes import PRODUCTION
from dabs_lab.check.declaration import STREAMS, Finding, Outcome, cannot_tell
from dabs_lab.check.places import Place
from dabs_lab.check.streaming import normal_name
from dabs_lab.check.views import TargetView, TaskView

# Spark's own option. Other names of checkpoints are also used for the training of models.
_SPARK_OPTION = "checkpointlocation"
_SHARED_TARGETS = ("prod", "prd", "live", "stag", "stg")
# Some bundles set production mode in every target.
_TRIAL_TARGETS = ("dev", "test", "qa", "sandbox", "local", "poc")


def runs_streams(task: TaskView) -> bool | None:
    """Return whether a task runs streams. A checkpoint alone may be one of a model's training: None."""
    facts = task.streaming
    if facts.is_stream is not True:
        return facts.is_stream
    if facts.streams or facts.writes or facts.trigger or facts.in_code or task.job.has("continuous"):
        return True
    by_comment = facts.places["checkpoints"].path == task.at().path
    named = (normal_name(name).replace("_", "") for name in task.parameters)
    return True if by_comment or _SPARK_OPTION in named else None


def if_stream(task: TaskView, place: Place, message: str) -> Iterator[Outcome]:
    """Yield a finding on a task that runs streams, or that a rule cannot tell whether it does."""
    streams = runs_streams(task)
    if streams is None:
        yield cannot_tell(task, STREAMS)
    elif streams:
        yield Finding(place, message)


def runs_endless_streams(task: TaskView) -> bool | None:
    """Return whether a task runs streams that do not end by themselves."""
    if task.streaming.endless is False:
        return False
    streams = runs_streams(task)
    return task.streaming.endless if streams else streams


def is_shared_target(target: TargetView) -> bool:
    """Return whether other people use a target's data: by its mode, or by a name such as prod without a mode."""
    if not target.mode:
        return target.name.lower().startswith(_SHARED_TARGETS)
    return is_production(target.name, target.mode)


def is_production(name: str, mode: str) -> bool:
    """Return whether a target has the mode production, and no name of a trial such as dev."""
    return mode == PRODUCTION and not name.lower().startswith(_TRIAL_TARGETS)


def waits_for(task: TaskView, other: TaskView) -> bool:
    """Return whether a task starts after the end of another task of its job."""
    by_key = {one.key: one for one in task.job.tasks}
    seen: set[str] = set()
    open_keys = list(task.depends_on)
    while open_keys:
        key = open_keys.pop()
        if key not in seen:
            seen.add(key)
            open_keys += by_key[key].depends_on if key in by_key else ()
    return other.key in seen


def one_at_a_time(task: TaskView, other: TaskView) -> bool:
    """Return whether two tasks of one job never run at the same time."""
    return task.job is other.job and (waits_for(task, other) or waits_for(other, task))
