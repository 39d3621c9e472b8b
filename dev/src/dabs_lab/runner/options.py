"""Options of commands on a job of a bundle, and the bundle that they name."""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dabs_lab.durations import parse_duration
from dabs_lab.errors import ConfigurationError
from dabs_lab.runner.local_config import LOCAL_FILE, LocalConfig

if TYPE_CHECKING:
    from dabs_lab.bundle import Bundle

Resolved = Annotated[
    str | None,
    typer.Option("--bundle-json", help="output of `databricks bundle validate -o json`: a file, - for standard input"),
]

# User of `${workspace.current_user…}`, where no workspace can be queried.
LOCAL_USER = "you@localhost"


@dataclass(frozen=True)
class RunOptions:
    """Options that every command `run` has, in the order of its help."""

    job: Annotated[str, typer.Argument(help="key of the job in resources.jobs")]
    target: Annotated[str | None, typer.Option(help="target of the bundle; its default target unless given")] = None
    lasting: Annotated[str | None, typer.Option("--for", help="stop after this long: 10m, 90 s")] = None
    until: Annotated[str | None, typer.Option(help="start no run by the trigger from then on, ISO 8601")] = None
    live: Annotated[
        bool, typer.Option("--live", help="follow the job's trigger, as if the target did not pause it")
    ] = False
    var: Annotated[list[str] | None, typer.Option(help="variable of the bundle: key=value")] = None
    param: Annotated[list[str] | None, typer.Option(help="parameter of the job: key=value")] = None
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object per event")] = False
    resolved: Resolved = None
    home: Annotated[Path | None, typer.Option(help="folder of everything that the run writes")] = None
    local: Annotated[Path, typer.Option(help="local.yml next to databricks.yml")] = LOCAL_FILE


def with_run_options(after: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator for a command `run(options: RunOptions, …)` with more options of its own.

    typer reads options from the signature. So the decorated command has the fields of RunOptions as options, and its
    own ones after the option `after`.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        shared = list(signature(RunOptions).parameters.values())
        own = list(signature(command).parameters.values())[1:]
        at = [option.name for option in shared].index(after) + 1

        @wraps(command)
        def run(**values: Any) -> None:
            options = RunOptions(**{option.name: values.pop(option.name) for option in shared})
            command(options, **values)

        options = [option.replace(kind=Parameter.KEYWORD_ONLY) for option in [*shared[:at], *own, *shared[at:]]]
        setattr(run, "__signature__", Signature(options))  # noqa: B010
        return run

    return decorate


def bundle_of(
    config: LocalConfig,
    target: str | None,
    variables: Mapping[str, str],
    user: str = LOCAL_USER,
    resolved: str | None = None,
) -> "Bundle":
    """Return the bundle next to `local.yml` for a target; `local.yml` gives values to variables without a default.

    resolved: a file with the output of `databricks bundle validate -o json`, `-` for standard input; read instead.
    Raises BundleError for a bundle that the CLI refuses, ConfigurationError for options that have no effect on it.
    """
    # The import takes a second, because of the SDK: errors that need no bundle come first.
    from dabs_lab.bundle import load_bundle
    from dabs_lab.bundle.resolved_json import read_resolved

    if resolved is not None:
        if target is not None or variables:
            raise ConfigurationError("--bundle-json is resolved already: leave --target and --var out")
        if resolved == "-":
            return read_resolved(config.folder, "standard input", sys.stdin.read())
        return read_resolved(config.folder, resolved)
    given = {f"BUNDLE_VAR_{name}": value for name, value in config.variables.items()}
    return load_bundle(config.folder, target, variables=variables, environment={**given, **os.environ}, user=user)


def pairs(words: Sequence[str] | None, option: str) -> Mapping[str, str]:
    """Return the `key=value` words of an option. Raises ConfigurationError, naming the option, for any other word."""
    found: dict[str, str] = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise ConfigurationError(f"{option} {word!r}: write key=value")
        found[name] = value
    return found


def seconds_of(text: str | None, option: str = "--for") -> float | None:
    """Return the seconds of a duration; `m` counts as minutes. Raises ConfigurationError naming the option."""
    if text is None:
        return None
    try:
        found = parse_duration(re.sub(r"(?<=\d)m$", " min", text.strip()))
    except ValueError as error:
        raise ConfigurationError(f"{option} {error}") from None
    return found.total_seconds() if isinstance(found, timedelta) else None


def time_of(text: str | None, option: str) -> datetime | None:
    """Return an ISO 8601 time, in UTC unless it names a zone. Raises ConfigurationError naming the option."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"{option} {text!r} is not a time: write 2026-01-31 or 2026-01-31T12:00:00Z") from None
