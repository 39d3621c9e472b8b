"""The command `run`: run a job of the bundle on this machine as the Databricks Jobs service would."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dabs_lab.runner import options
from dabs_lab.runner.local_config import LOCAL_FILE, absolute, load_local
from dabs_lab.runner.start import run_with
from sensor_streams.errors import ConfigurationError
from sensor_streams_dev.homes import chosen_home

if TYPE_CHECKING:
    from dabs_lab.bundle import Bundle


def run(
    job: options.Job,
    target: options.Target = None,
    folder: Annotated[Path | None, typer.Option("--input", help="folder of your own readings")] = None,
    lasting: options.Lasting = None,
    until: options.Until = None,
    live: options.Live = False,
    var: options.Variables = None,
    param: options.Parameters = None,
    as_json: options.AsJson = False,
    resolved: options.Resolved = None,
    home: options.Home = None,
    local: options.Local = LOCAL_FILE,
) -> None:
    """Run a job of the bundle here with real Spark: one JVM per cluster, one Python process per task.

    Exit code: 0 success, 1 the job failed, 2 wrong usage, 3 problem of the machine, 130 interrupted.
    """
    config = chosen_home(load_local(local), home, folder)
    if folder is not None:
        if not folder.is_dir():
            raise ConfigurationError(f"--input {folder} is not a folder")
        config = config.with_volume("landing", absolute(folder))
    raise typer.Exit(run_with(config, job, target, lasting, until, live, var, param, as_json, resolved, _policies))


def _policies(bundle: "Bundle") -> Sequence[str]:
    """Return one line for each policy of this project that the bundle breaks."""
    from sensor_streams_dev.policies.job_files import broken_policies

    return [f"policy: {line}" for line in broken_policies(bundle)]
