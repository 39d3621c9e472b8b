"""Settings of the tasks of a job, as the tasks would compute them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dabs_lab.jobs.dynamic_values import RunContext, TaskContext, resolve
from dabs_lab.jobs.job_spec import JobSpec, TaskSpec, WheelTask
from sensor_streams.errors import ConfigurationError
from sensor_streams.incremental.stream import Stream
from sensor_streams.settings import Settings, parse_parameters, take_stream_names, task_settings
from sensor_streams.streams import streams_of

# Parameters with a value only during a run. No check needs them.
_OF_THE_RUN = ("run", "attempt")
# Tasks with the same values of these settings use the same tables, so they are checked together.
_SHARED = (
    *("catalog", "schema_name", "tables", "catalog_file", "landing", "checkpoints", "sensors"),
    *("tracking_uri", "registry_uri", "model_prefix"),
)


@dataclass(frozen=True)
class JobStreams:
    """Streams with the same settings, and their tasks."""

    tasks: Sequence[str]
    settings: Settings
    streams: Sequence[Stream]


def job_streams(
    spec: JobSpec, argument: Callable[[str], str], environment: Callable[[TaskSpec], Mapping[str, str]]
) -> list[JobStreams]:
    """Return the streams of a job's tasks, grouped by settings; tasks without streams are left out.

    argument: maps an argument of a task, for example to paths of this machine. environment: returns the variables of a
    task's process. Raises ConfigurationError with the task for wrong parameters, and if no task runs streams.
    """
    groups: dict[tuple[object, ...], JobStreams] = {}
    for task in spec.tasks:
        if not (isinstance(task.work, WheelTask) and task.work.entry_point == "stream"):
            continue
        try:
            settings, names = _settings(spec, task, argument, environment(task))
            streams = streams_of(names)
        except ConfigurationError as error:
            raise ConfigurationError(f"job {spec.key}, task {task.key}: {error}") from None
        key = tuple(getattr(settings, name) for name in _SHARED)
        group = groups.get(key, JobStreams((), settings, ()))
        merged = streams_of([stream.name for stream in (*group.streams, *streams)])
        groups[key] = JobStreams((*group.tasks, task.key), group.settings, merged)
    if not groups:
        raise ConfigurationError(f"job {spec.key}: none of its tasks runs streams, so nothing can be checked")
    return list(groups.values())


def _settings(
    spec: JobSpec, task: TaskSpec, argument: Callable[[str], str], environment: Mapping[str, str]
) -> tuple[Settings, list[str]]:
    """Return the settings of a task, and the names of its streams."""
    now = datetime.now(UTC)
    run = RunContext(0, spec.name, 0, now, "", now, spec.parameters)
    named = spec.named_parameters(task)
    words = [f"--{name}={value}" for name, value in named.items()] or list(task.work.parameters)
    arguments = parse_parameters([argument(resolve(word, run, TaskContext(task.key, 0, 1))) for word in words])
    for name in _OF_THE_RUN:
        arguments.pop(name, None)
    names = take_stream_names(arguments)
    return task_settings(arguments, environment), names
