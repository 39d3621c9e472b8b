"""Home folders for tables, models and checkpoints: of the demo, of your own files, or of `local.yml`."""

import hashlib
from pathlib import Path

from dabs_lab.runner.local_config import LocalConfig, absolute

DEMO = Path(".local/demo")


def home_of_folder(folder: Path) -> Path:
    """Return the home of a folder of readings; two folders with the same name have two homes."""
    whole = absolute(folder)
    return Path(".local/own") / f"{whole.name}-{hashlib.sha256(str(whole).encode()).hexdigest()[:8]}"


def home_with_tables(config: LocalConfig) -> Path | None:
    """Return the demo's home if the demo ran and the home of `local.yml` has no tables; None otherwise."""
    if (config.home / "catalog.json").exists() or not (config.folder / DEMO / "catalog.json").exists():
        return None
    return config.folder / DEMO


def chosen_home(config: LocalConfig, home: Path | None, folder: Path | None) -> LocalConfig:
    """Return the configuration with `home`; else the home of `folder`; else the demo's if it ran; else its own."""
    if home is None and folder is not None:
        home = config.folder / home_of_folder(folder)
    if home is None and (config.folder / DEMO / "catalog.json").exists():
        home = config.folder / DEMO
    return config if home is None else config.under(absolute(home))
