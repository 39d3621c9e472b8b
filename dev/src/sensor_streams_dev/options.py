"""What the commands' options have in common, and what they open."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sensor_streams_dev.local_home import LocalHome

Local = Annotated[Path, typer.Option("--local", help="what the deployment's names are on this machine")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="file of settings (YAML)")]
Landing = Annotated[str | None, typer.Option(help="folder in which files of readings arrive")]
Sensors = Annotated[str | None, typer.Option(help="the file that describes the fleet")]
Home = Annotated[Path | None, typer.Option(help="keep tables, models and checkpoints under this folder")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]


def opened(
    local: Path,
    arguments: Mapping[str, object] | None = None,
    settings: Path | None = None,
    home: Path | None = None,
    log_name: str = "spark",
) -> "LocalHome":
    """The workspace of this machine, with what the command line says of it."""
    # MLflow and scikit-learn take seconds to import: `run` and whoever asks for help need neither.
    from sensor_streams_dev.local_home import LocalHome

    return LocalHome.open(local, arguments, settings, home, log_name)
