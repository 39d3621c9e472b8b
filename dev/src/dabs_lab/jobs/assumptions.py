"""Values and rules that Databricks does not publish. Each is reported the first time that it decides something."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from dabs_lab.durations import Duration
from dabs_lab.errors import ConfigurationError

_STRICT = ConfigDict(extra="forbid")
_Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Backoff:
    """Growing pauses: the first one, the factor from one to the next, and the longest."""

    __pydantic_config__ = _STRICT

    first: Duration
    factor: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    longest: Duration

    def pause(self, failures: int) -> timedelta:
        """Return the pause after a number of failures in a row, at least one."""
        # The exponent is limited because a large power overflows.
        if self.first.total_seconds() * self.factor ** min(failures - 1, 64) >= self.longest.total_seconds():
            return self.longest
        return self.first * self.factor ** (failures - 1)

    def __str__(self) -> str:
        return f"{self.first}, each time {self.factor:g} times as long, at most {self.longest}"


@dataclass(frozen=True)
class Assumptions:
    """Unpublished numbers of the platform. ASSUMED describes them by the same names."""

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
    "healthy_after": "A continuous run that lasted this long resets the count of failures; not published.",
    "queue_limit": "How long a run waits in the queue before it is skipped; not published.",
    "new_cluster": "After its driver is lost, a task is retried on a new cluster; not published.",
    "own_cluster": "A task with a cluster of its own gets a new one for each attempt.",
    "timeout_start": "A task timeout includes the start of its cluster; a run timeout excludes the time in the queue.",
    "continuous_timeout": "A timed-out task of a continuous job counts as a failed one.",
    "paused_by_hand": "A continuous job that is paused and run by hand has the same task retries, and no next run.",
    "first_attempt": "A continuous job checks when a task fails whether another task is in its first attempt.",
    "excluded_dependency": "ALL_SUCCESS with an excluded dependency and no failed one gives EXCLUDED.",
    "canceled_is_failed": "For run_if a canceled dependency counts as failed; if no other failed, the task is "
    "UPSTREAM_CANCELED.",
    "canceled_waiting": "A task that had not started when its run was canceled is UPSTREAM_CANCELED.",
    "leaf_timeout": "A run whose leaf tasks timed out or lost their driver ends as FAILED.",
    "bad_reference": "A reference without a value ends the attempt with INVALID_RUN_CONFIGURATION, and is not retried.",
    "canceled_told": "Canceled runs and skipped tasks notify the recipients of on_failure unless a setting forbids it.",
    "missed_ticks": "Scheduled times that passed while this machine slept trigger one run.",
}


def assumptions_of(given: Mapping[str, object]) -> Assumptions:
    """Return the `assumptions` of `local.yml` over the defaults. Raises ConfigurationError naming the field."""
    try:
        return TypeAdapter(Assumptions).validate_python(dict(given))
    except ValidationError as error:
        fields_wrong = [(".".join(map(str, ("assumptions", *p["loc"]))), p["msg"]) for p in error.errors()]
        lines = [f"local.yml: {name}: {message.removeprefix('Value error, ')}" for name, message in fields_wrong]
        raise ConfigurationError("\n".join(lines)) from None


def assumption_rows(assumptions: Assumptions) -> Iterator[tuple[str, str, str]]:
    """Return name, value (empty for a rule) and sentence of each assumption."""
    values = {field.name: str(getattr(assumptions, field.name)) for field in fields(assumptions)}
    for name, sentence in ASSUMED.items():
        yield name, values.get(name, ""), sentence
