"""Collect versions, free disk and free memory of this process and machine."""

import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sensor_streams.preflight.facts import PlatformFacts, Unknown

# Start of each supported version. pyproject.toml has those of this machine, databricks.yml that of a cluster.
BUILT_FOR: Mapping[str, str] = {"pyspark": "4.1", "delta-spark": "4.4"}
RUNTIME = "Databricks runtime"
BUILT_FOR_RUNTIME: Mapping[str, str] = {RUNTIME: "18"}


def gather_platform(checkpoints: str, skew: float | Unknown | None = None) -> PlatformFacts:
    """Return versions and free bytes. skew: seconds that this clock is ahead of the workspace's.

    The disk is that of the checkpoints. A volume cannot be full, so for a volume it is the disk of temporary files.
    """
    runtime = os.environ.get("DATABRICKS_RUNTIME_VERSION")
    versions = {name: found for name in BUILT_FOR if (found := _version(name)) is not None}
    if runtime:
        versions[RUNTIME] = runtime
    return PlatformFacts(
        versions=versions,
        # A cluster has its own Spark and Delta, which its runtime determines.
        locked=BUILT_FOR_RUNTIME if runtime else BUILT_FOR,
        free_disk=_free_disk(checkpoints),
        free_memory=_free_memory(),
        skew=skew,
        python=platform.python_version(),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _free_disk(checkpoints: str) -> int | Unknown:
    folder = Path(tempfile.gettempdir() if checkpoints.startswith("/Volumes/") else checkpoints)
    existing = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    try:
        return shutil.disk_usage(existing).free
    except OSError as error:
        return Unknown(f"{existing}: {error.strerror}")


def _free_memory() -> int | Unknown:
    try:
        import psutil
    except ImportError:
        return Unknown("psutil is not installed here")
    return int(psutil.virtual_memory().available)
