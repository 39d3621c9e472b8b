"""Command line `dabs-lab`: check any bundle, and run its jobs on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from dabs_lab.check.command import check
from dabs_lab.errors import ConfigurationError, DabsLabError
from dabs_lab.runner.local_config import absolute, load_local
from dabs_lab.runner.options import RunOptions, pairs, with_run_options
from dabs_lab.runner.start import run_with

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def _commands() -> None:
    """Check a Databricks bundle, and run its jobs on this machine: real Spark and Delta, no workspace."""


app.command()(check)


@app.command()
@with_run_options(after="home")
def run(
    options: RunOptions,
    volume: Annotated[list[str] | None, typer.Option(help="folder of a volume: name=folder")] = None,
) -> None:
    """Run a job of the bundle in this folder: one JVM for each cluster, one Python process for each task.

    Exit code: 0 success, 1 the job failed, 2 wrong use, 3 a problem of the machine, 130 interrupted.
    """
    config = load_local(options.local)
    if options.home is not None:
        config = config.under(absolute(options.home))
    for name, folder in pairs(volume, "--volume").items():
        config = config.with_volume(name, absolute(Path(folder)))
    try:
        raise typer.Exit(run_with(config, options))
    except ModuleNotFoundError as error:
        # The package for `check` alone comes without Spark (dev/lab/pyproject.toml).
        if error.name is None or error.name.startswith("dabs_lab"):
            raise
        remedy = "`run` needs the packages of dev/pyproject.toml, `check` does not"
        raise ConfigurationError(f"the Python package {error.name} is not installed: {remedy}") from None


def main(words: Sequence[str] | None = None) -> None:
    """Run a command; turn an error into one line and an exit code."""
    try:
        app(words)
    except DabsLabError as error:
        line = Text.assemble(("error:", "red"), " ", str(error))
        Console(stderr=True, emoji=False).print(line, highlight=False, soft_wrap=True)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
