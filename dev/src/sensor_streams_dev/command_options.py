"""Options that the commands share, and the local home that they open."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dabs_lab.runner.local_config import load_local
from sensor_streams_dev.homes import home_with_tables

if TYPE_CHECKING:
    from sensor_streams_dev.local_home import LocalHome

Local = Annotated[Path, typer.Option("--local", help="file that maps names of the deployment to this machine")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="file of settings (YAML)")]
Landing = Annotated[str | None, typer.Option(help="folder in which the files arrive")]
Sensors = Annotated[str | None, typer.Option(help="file that describes the fleet")]
Home = Annotated[Path | None, typer.Option(help="keep tables, models and checkpoints under this folder")]
LoadHistory = Annotated[bool | None, typer.Option("--load-history", help="accept readings of any age")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


def open_home(
    local: Path,
    arguments: Mapping[str, object] | None = None,
    settings: Path | None = None,
    home: Path | None = None,
    log_name: str = "spark",
    *,
    has_tables: bool = False,
) -> "LocalHome":
    """Return the local home with the settings of the command line. Raises ConfigurationError.

    has_tables: the command reads tables. It uses the demo's if the home of `local.yml` has none.
    """
    # MLflow and scikit-learn take seconds to import; `run` and `--help` need neither.
    from sensor_streams_dev.local_home import LocalHome

    if home is None and has_tables:
        home = home_with_tables(load_local(local))
    return LocalHome.open(local, arguments, settings, home, log_name)
