"""The file policies.yml: what a team decides about its jobs, and the messages about mistakes in it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from databricks.sdk.service.compute import DataSecurityMode
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from dabs_lab.jobs.job_spec import NotificationKind
from sensor_streams.errors import ConfigurationError
from sensor_streams.marked_yaml import Marked, load_marked, text_of

# Next to databricks.yml.
POLICY_FILE = "policies.yml"

_Retries = Annotated[int, Field(ge=-1)]
# YAML has the names of these values, and strict models accept only the values.
_Event = Annotated[NotificationKind, Field(strict=False)]
_AccessMode = Annotated[DataSecurityMode, Field(strict=False)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Retries(_Model):
    """Retries of each task, by shape; -1 means no limit."""

    shared_cluster: _Retries
    cluster_per_task: _Retries


class NotificationPolicy(_Model):
    """Kinds of recipients that count, and the events that need one."""

    kinds: Annotated[list[Literal["email", "webhook"]], Field(min_length=1)]
    events: list[_Event]
    events_of_streams: list[_Event]


class ClusterPolicy(_Model):
    """Settings that clusters may have."""

    access_modes: Annotated[list[_AccessMode], Field(min_length=1)]
    spot_driver: bool
    autoscale: bool


class Policies(_Model):
    """Content of policies.yml."""

    retries: Retries
    notifications: NotificationPolicy
    clusters: ClusterPolicy
    tags: list[str]


@dataclass(frozen=True)
class PolicyFile:
    """Policies, with the line of each field."""

    policies: Policies
    marked: Marked

    def change(self, *field: str) -> str:
        """Return the advice to change a field, with file and line."""
        return f"change {'.'.join(field)} in {self.marked.name}:{self.marked.line(field)}"


def load_policies(folder: Path) -> PolicyFile:
    """Read policies.yml in the folder of databricks.yml.

    Raises ConfigurationError with file, line and field of every problem: a wrong value, a missing or unknown field, or
    a file that cannot be read.
    """
    marked = load_marked(text_of(folder / POLICY_FILE, "restore it; the policies on jobs are in it"), POLICY_FILE)
    try:
        return PolicyFile(Policies.model_validate(marked.content), marked)
    except ValidationError as error:
        lines = [f"{marked.at(tuple(one['loc']))}: {_message(one)}" for one in error.errors()]
        raise ConfigurationError("\n".join(lines)) from None


def _message(problem: ErrorDetails) -> str:
    """Return the message for an error of pydantic."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in ("literal_error", "enum"):
        return f"is {problem['input']!r}: write {context['expected'].replace(chr(39), '')}"
    if kind in ("int_type", "greater_than_equal"):
        return f"is {problem['input']!r}: write a whole number; -1 means no limit"
    return {
        "extra_forbidden": "is not a policy: correct the name, or remove it",
        "missing": "is missing: add it",
        "bool_type": "write true or false",
        "string_type": "write a text",
        "list_type": "write a list, such as [a, b]",
        "too_short": "is empty: write at least one value",
        "model_type": "write its fields below it, as `name: value`",
    }.get(kind, problem["msg"])
