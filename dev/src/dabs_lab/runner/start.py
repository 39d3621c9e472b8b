"""Start a run with the values of command-line options."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dabs_lab.runner.local_config import LocalConfig
from dabs_lab.runner.options import pairs, seconds_of, time_of

if TYPE_CHECKING:
    from dabs_lab.bundle import Bundle


def run_with(
    config: LocalConfig,
    job: str,
    target: str | None,
    lasting: str | None,
    until: str | None,
    live: bool,
    var: Sequence[str] | None,
    param: Sequence[str] | None,
    as_json: bool,
    resolved: str | None = None,
    warnings: Callable[["Bundle"], Sequence[str]] | None = None,
) -> int:
    """Run a job as the options of a command line say; return the exit code. Raises what `run_job` raises."""
    seconds, last = seconds_of(lasting), time_of(until, "--until")
    variables, parameters = pairs(var, "--var"), pairs(param, "--param")
    # The import takes a second, because of the SDK: wrong options are reported before it.
    from dabs_lab.runner.command import RunRequest, no_warnings, run_job

    request = RunRequest(job, target, variables, parameters, seconds, last, live, as_json, resolved)
    return run_job(config, request, warnings or no_warnings)
