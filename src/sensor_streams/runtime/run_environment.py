"""Versions that a run uses: Java, runtime image, Spark, Delta, Python, this package and its dependencies."""

import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

RUNTIME_VARIABLE = "DATABRICKS_RUNTIME_VERSION"
# Spark configuration of a cluster: the version key, and the image behind that key. A restart may bring a new image
# under the same key, so both are recorded.
_IMAGE = (
    "spark.databricks.clusterUsageTags.sparkVersion",
    "spark.databricks.clusterUsageTags.sparkImageLabel",
)
_WHEEL = "sensor-streams"


@dataclass(frozen=True)
class RunEnvironment:
    """Versions of one run. runtime: `local` outside Databricks; packages: version by dependency of the wheel."""

    java: str
    runtime: str
    spark: str
    delta: str
    wheel: str
    python: str
    packages: Mapping[str, str]

    @classmethod
    def of(cls, spark: SparkSession) -> "RunEnvironment":
        """Read the versions from session and process; an unknown version is empty and never stops a run."""
        names = [os.environ.get(RUNTIME_VARIABLE, ""), *(_conf(spark, name) for name in _IMAGE)]
        runtime = ", ".join(dict.fromkeys(name for name in names if name)) or "local"
        python, wheel = platform.python_version(), _package(_WHEEL)
        return cls(_java(spark), runtime, spark.version, _delta(spark), wheel, python, dependencies())

    def line(self) -> str:
        """Return the versions as one line of JSON."""
        return json.dumps({"versions": asdict(self)})

    def row(self) -> dict[str, object]:
        """Return the versions of the progress table, by column; the packages are a JSON object."""
        return asdict(self) | {"packages": json.dumps(self.packages)}

    def __str__(self) -> str:
        """Return one line, for the log."""
        packages = "".join(f", {name} {version}" for name, version in self.packages.items())
        return (
            f"Java {self.java or 'unknown'}, runtime {self.runtime}, Spark {self.spark}, "
            f"Delta {self.delta or 'unknown'}, {_WHEEL} {self.wheel or 'not installed'}, Python {self.python}{packages}"
        )


def dependencies() -> dict[str, str]:
    """Return the installed version of each package that the wheel depends on, by name; empty if it is not installed."""
    try:
        needed = requires(_WHEEL) or []
    except PackageNotFoundError:
        return {}
    names = [re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0] for requirement in needed]
    return {name: _package(name) for name in sorted(names)}


def _conf(spark: SparkSession, name: str) -> str:
    try:
        return spark.conf.get(name, "") or ""
    except (PySparkException, Py4JError):
        return ""


def _java(spark: SparkSession) -> str:
    try:
        jvm: Any = spark._jvm
        return str(jvm.java.lang.System.getProperty("java.version"))
    except (PySparkException, Py4JError, AttributeError):
        return ""


def _delta(spark: SparkSession) -> str:
    """Return the version of Delta's jar, or of the Python package if the jar does not report one."""
    try:
        jvm: Any = spark._jvm
        return str(jvm.io.delta.package.VERSION())
    except (PySparkException, Py4JError, AttributeError, TypeError):
        return _package("delta-spark")


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
