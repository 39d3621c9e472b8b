"""What Databricks does not publish, and what is taken in its place: each is named when it decides something."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from dabs_lab.durations import Duration
from dabs_lab.errors import ConfigurationError

# A wrong name is told, and nothing is taken for what it is not.
_STRICT = ConfigDict(extra="forbid")
_Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Backoff:
    """Pauses that grow: the first, by what each next one is longer, and the longest."""

    __pydantic_config__ = _STRICT

    first: Duration
    factor: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    longest: Duration

    def pause(self, failures: int) -> timedelta:
        """The pause after so many failures in a row, at least one."""
        # Beyond this the power is larger than any pause, and then than any number.
        if self.first.total_seconds() * self.factor ** min(failures - 1, 64) >= self.longest.total_seconds():
            return self.longest
        return self.first * self.factor ** (failures - 1)

    def __str__(self) -> str:
        return f"{self.first}, each time {self.factor:g} times as long, at most {self.longest}"


@dataclass(frozen=True)
class Assumptions:
    """Numbers that the platform keeps to itself. The sentences are in ASSUMED, by the same names."""

    __pydantic_config__ = _STRICT

    single_task_retries: _Count = 3
    several_tasks_retries: _Count = 3
    task_backoff: Backoff = Backoff(timedelta(seconds=10), 2, timedelta(minutes=5))
    run_gap: Duration = timedelta(seconds=10)
    tolerated_failures: _Count = 1
    run_backoff: Backoff = Backoff(timedelta(seconds=30), 2, timedelta(hours=1))
    healthy_after: Duration = timedelta(minutes=10)
    queue_limit: Duration = timedelta(hours=48)


ASSUMED: Mapping[str, str] = {
    "single_task_retries": "Retries of the task of a continuous job with one task, in one run; a forum quotes three.",
    "several_tasks_retries": "Retries of a task of a continuous job with several tasks, in one run; not published.",
    "task_backoff": "Pauses before the retries of a continuous job's task: documented as growing, not how.",
    "run_gap": "From the end of a run to the next one of a continuous job: documented as below 60 s.",
    "tolerated_failures": "Failed runs in a row after which the pauses between continuous runs grow; not published.",
    "run_backoff": "Pauses between failing runs of a continuous job: documented as growing up to a limit, not how.",
    "healthy_after": "A continuous run that lived this long makes the failures before it forgotten; not published.",
    "queue_limit": "How long a run waits in the queue before it is skipped; we found no page that says it.",
    "new_cluster": "After its driver is lost a task is retried on a new cluster; what a retry gets is not published.",
    "own_cluster": "A task with a cluster of its own gets a new one for each attempt.",
    "timeout_start": "A timeout counts from the start of the attempt, that of its cluster included; of a run, from its "
    "first task, without the time in the queue.",
    "continuous_timeout": "A timed-out task of a continuous job counts as a failed one.",
    "paused_by_hand": "A continuous job that is paused and run by hand has the same task retries, and no next run.",
    "first_attempt": "In a continuous job, whether another task is in its first attempt is asked when a task fails.",
    "excluded_dependency": "ALL_SUCCESS over an excluded dependency, none failed, is EXCLUDED like it.",
    "canceled_is_failed": "For run_if a canceled dependency counts as a failed one; a task that is skipped for it "
    "alone is UPSTREAM_CANCELED.",
    "canceled_waiting": "A task that had not started when its run was canceled is UPSTREAM_CANCELED.",
    "leaf_timeout": "A run whose last tasks timed out or were lost ends as FAILED, like one whose last tasks failed.",
    "bad_reference": "A reference without a value ends the attempt with INVALID_RUN_CONFIGURATION, and is not retried.",
    "canceled_told": "Canceled runs and skipped tasks are told to those of on_failure, unless a setting forbids it.",
    "missed_ticks": "Ticks that passed while this machine slept come to one run.",
}


def assumptions_of(given: Mapping[str, object]) -> Assumptions:
    """What `assumptions` of `local.yml` says, the defaults for the rest. Raises ConfigurationError naming the field."""
    try:
        return TypeAdapter(Assumptions).validate_python(dict(given))
    except ValidationError as error:
        told = [(".".join(map(str, ("assumptions", *p["loc"]))), p["msg"]) for p in error.errors()]
        lines = [f"local.yml: {where}: {message.removeprefix('Value error, ')}" for where, message in told]
        raise ConfigurationError("\n".join(lines)) from None


def listed(assumptions: Assumptions) -> Iterator[tuple[str, str, str]]:
    """Each assumption: its name, its value (empty where it is a rule), and the sentence."""
    values = {field.name: str(getattr(assumptions, field.name)) for field in fields(assumptions)}
    for name, sentence in ASSUMED.items():
        yield name, values.get(name, ""), sentence
