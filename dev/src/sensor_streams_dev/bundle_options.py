"""What the commands have in common that take a job of the bundle: its files read, and where everything is kept."""

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dabs_lab.runner.local_config import LocalConfig, absolute
from sensor_streams.errors import ConfigurationError

if TYPE_CHECKING:
    from dabs_lab.bundle import Bundle

DEMO = Path(".local/demo")
# Who deploys, where there is no workspace to ask.
NOBODY = "you@localhost"


def bundle_of(
    config: LocalConfig,
    target: str | None,
    variables: Mapping[str, str],
    user: str = NOBODY,
    resolved: str | None = None,
) -> "Bundle":
    """Return the bundle next to `local.yml`, for a target; `local.yml` gives values to variables without a default.

    resolved: a file with the output of `databricks bundle validate -o json`, `-` for standard input; read instead.
    Raises BundleError for whatever the CLI refuses, ConfigurationError for options that have no effect on it.
    """
    # It needs the SDK, which takes a second to import: after what can be wrong without it.
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


def own_home(folder: Path) -> Path:
    """Where the tables of a folder of readings are kept: two folders of one name are two fleets."""
    whole = absolute(folder)
    return Path(".local/own") / f"{whole.name}-{hashlib.sha256(str(whole).encode()).hexdigest()[:8]}"


def kept(config: LocalConfig, home: Path | None, folder: Path | None) -> LocalConfig:
    """Where everything is kept: as told; that of one's own files; the demo's, once it has run; else as in local.yml."""
    if home is None and folder is not None:
        home = config.folder / own_home(folder)
    if home is None and (config.folder / DEMO / "catalog.json").exists():
        home = config.folder / DEMO
    return config if home is None else config.under(absolute(home))


def pairs(words: Sequence[str] | None, option: str) -> Mapping[str, str]:
    """`key=value` words of an option. Raises ConfigurationError, naming the option, for one that is none."""
    found: dict[str, str] = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise ConfigurationError(f"{option} {word!r}: write key=value")
        found[name] = value
    return found
