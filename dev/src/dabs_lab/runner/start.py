"""Start a run with the values of command-line options."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dabs_lab.runner.local_config import LocalConfig
from dabs_lab.runner.options import RunOptions, pairs, seconds_of, time_of

if TYPE_CHECKING:
    from dabs_lab.bundle import Bundle


def run_with(
    config: LocalConfig,
    options: RunOptions,
    warnings: Callable[["Bundle"], Sequence[str]] | None = None,
) -> int:
    """Run a job as the options of a command line say; return the exit code. Raises what `run_job` raises.

    config: `options.local` with the command's changes.
    """
    seconds, last = seconds_of(options.lasting), time_of(options.until, "--until")
    variables, parameters = pairs(options.var, "--var"), pairs(options.param, "--param")
    # The import takes a second, because of the SDK: wrong options are reported before it.
    from dabs_lab.runner.command import RunRequest, no_warnings, run_job

    request = RunRequest(
        options.job,
        options.target,
        variables,
        parameters,
        seconds,
        until=last,
        live=options.live,
        as_json=options.as_json,
        resolved=options.resolved,
    )
    return run_job(config, request, warnings or no_warnings)
