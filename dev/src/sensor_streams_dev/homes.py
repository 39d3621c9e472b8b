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
    return None if _has_tables(config.home) else _demo_home(config)


def chosen_home(config: LocalConfig, home: Path | None, folder: Path | None) -> LocalConfig:
    """Return the configuration with `home`; else the home of `folder`; else the demo's if it ran; else its own."""
    if home is None and folder is not None:
        home = config.folder / home_of_folder(folder)
    if home is None:
        home = _demo_home(config)
    return config if home is None else config.under(absolute(home))


def _demo_home(config: LocalConfig) -> Path | None:
    """Return the demo's home, None if the demo did not run."""
    home = config.folder / DEMO
    return home if _has_tables(home) else None


def _has_tables(home: Path) -> bool:
    return (home / "catalog.json").exists()
