"""The command `run`: run a job of the bundle on this machine as the Databricks Jobs service would."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dabs_lab.runner.local_config import absolute, load_local
from dabs_lab.runner.options import RunOptions, with_run_options
from dabs_lab.runner.start import run_with
from sensor_streams.errors import ConfigurationError
from sensor_streams_dev.homes import chosen_home

if TYPE_CHECKING:
    from dabs_lab.bundle import Bundle


@with_run_options(after="target")
def run(
    options: RunOptions,
    folder: Annotated[Path | None, typer.Option("--input", help="folder of your own readings")] = None,
) -> None:
    """Run a job of the bundle here with real Spark: one JVM per cluster, one Python process per task.

    Exit code: 0 success, 1 the job failed, 2 wrong usage, 3 problem of the machine, 130 interrupted.
    """
    config = chosen_home(load_local(options.local), options.home, folder)
    if folder is not None:
        if not folder.is_dir():
            raise ConfigurationError(f"--input {folder} is not a folder")
        config = config.with_volume("landing", absolute(folder))
    raise typer.Exit(run_with(config, options, _policies))


def _policies(bundle: "Bundle") -> Sequence[str]:
    """Return one line for each policy of this project that the bundle breaks."""
    from sensor_streams_dev.policies.job_files import broken_policies

    return [f"policy: {line}" for line in broken_policies(bundle)]
