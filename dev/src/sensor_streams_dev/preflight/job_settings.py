"""What a job of the bundle is meant to be bound to: the settings of its tasks, as they will have them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dabs_lab.jobs.dynamic_values import RunContext, TaskContext, resolve
from dabs_lab.jobs.job_spec import JobSpec, TaskSpec, WheelTask
from sensor_streams.errors import ConfigurationError
from sensor_streams.incremental.stream import Stream
from sensor_streams.settings import Settings, parse_parameters, take_stream_names, task_settings
from sensor_streams.streams import streams_of

# What only a run knows. Nothing that is looked at hangs on it.
_OF_THE_RUN = ("run", "attempt")
# Two tasks with the same of these look at the same tables: they are asked for once.
_WHERE = (
    *("catalog", "schema_name", "tables", "catalog_file", "landing", "checkpoints", "sensors"),
    *("tracking_uri", "registry_uri", "model_prefix"),
)


@dataclass(frozen=True)
class Bound:
    """Streams that run with the same settings, and the tasks that they belong to."""

    tasks: Sequence[str]
    settings: Settings
    streams: Sequence[Stream]


def bound_of(
    spec: JobSpec, argument: Callable[[str], str], environment: Callable[[TaskSpec], Mapping[str, str]]
) -> list[Bound]:
    """The streams of a job's tasks by their settings; tasks that run none are left out.

    argument: an argument of a task → the same with the names of where one looks; environment: what a task's process
    will have. Raises ConfigurationError, naming the task, for parameters that are wrong, and when no task runs streams.
    """
    found: dict[tuple[object, ...], Bound] = {}
    for task in spec.tasks:
        if not (isinstance(task.work, WheelTask) and task.work.entry_point == "stream"):
            continue
        try:
            settings, names = _settings(spec, task, argument, environment(task))
            streams = streams_of(names)
        except ConfigurationError as error:
            raise ConfigurationError(f"job {spec.key}, task {task.key}: {error}") from None
        where = tuple(getattr(settings, name) for name in _WHERE)
        before = found.get(where, Bound((), settings, ()))
        both = streams_of([stream.name for stream in (*before.streams, *streams)])
        found[where] = Bound((*before.tasks, task.key), before.settings, both)
    if not found:
        raise ConfigurationError(f"job {spec.key}: none of its tasks runs streams, so there is nothing to look at")
    return list(found.values())


def _settings(
    spec: JobSpec, task: TaskSpec, argument: Callable[[str], str], environment: Mapping[str, str]
) -> tuple[Settings, list[str]]:
    """The settings of a task, and the streams or tasks that it names."""
    now = datetime.now(UTC)
    run = RunContext(0, spec.name, 0, now, "", now, spec.parameters)
    own = TaskContext(task.key, 0, 1)
    work = task.work
    words = list(work.parameters)
    if isinstance(work, WheelTask) and work.named_parameters:
        words = [f"--{name}={value}" for name, value in {**work.named_parameters, **spec.parameters}.items()]
    arguments = parse_parameters([argument(resolve(word, run, own)) for word in words])
    for name in _OF_THE_RUN:
        arguments.pop(name, None)
    names = take_stream_names(arguments)
    return task_settings(arguments, environment), names
