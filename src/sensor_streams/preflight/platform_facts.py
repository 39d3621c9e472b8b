"""This process and its machine: versions, free disk and memory."""

import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sensor_streams.preflight.facts import PlatformFacts, Unknown

# What the project is built for, by the leading parts of the version: as pyproject.toml has it for this machine, and as
# databricks.yml names the cluster's runtime.
BUILT_FOR: Mapping[str, str] = {"pyspark": "4.1", "delta-spark": "4.4"}
RUNTIME = "Databricks runtime"
BUILT_FOR_RUNTIME: Mapping[str, str] = {RUNTIME: "18"}
_TOLD = ("pyspark", "delta-spark", "mlflow-skinny", "numpy", "pandas", "pyarrow", "scikit-learn")


def gather_platform(checkpoints: str, skew: float | Unknown | None = None) -> PlatformFacts:
    """Versions, free bytes where the checkpoints go and of memory; skew: this clock less the workspace's, if asked for.

    Where the checkpoints are in a volume, the disk is that of temporary files: a volume does not fill up.
    """
    runtime = os.environ.get("DATABRICKS_RUNTIME_VERSION")
    versions = {name: told for name in _TOLD if (told := _version(name)) is not None}
    if runtime:
        versions[RUNTIME] = runtime
    return PlatformFacts(
        versions=versions,
        # A cluster brings a Spark and a Delta of its own, which its runtime names.
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
    there = next((at for at in (folder, *folder.parents) if at.exists()), Path("/"))
    try:
        return shutil.disk_usage(there).free
    except OSError as error:
        return Unknown(f"{there}: {error.strerror}")


def _free_memory() -> int | Unknown:
    try:
        import psutil
    except ImportError:
        return Unknown("psutil is not installed here")
    return int(psutil.virtual_memory().available)
