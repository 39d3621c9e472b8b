"""Versions that a run uses: Java, runtime image, Spark, Delta, and this package."""

import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
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


@dataclass(frozen=True)
class RunEnvironment:
    """Versions of one run. runtime: empty outside Databricks."""

    java: str
    runtime: str
    spark: str
    delta: str
    wheel: str

    @classmethod
    def of(cls, spark: SparkSession) -> "RunEnvironment":
        """Read the versions from session and process; an unknown version is empty and never stops a run."""
        names = [os.environ.get(RUNTIME_VARIABLE, ""), *(_conf(spark, name) for name in _IMAGE)]
        runtime = ", ".join(dict.fromkeys(name for name in names if name))
        return cls(_java(spark), runtime, spark.version, _delta(spark), _package("sensor-streams"))

    def __str__(self) -> str:
        """Return one line, for the log."""
        return (
            f"Java {self.java or 'unknown'}, runtime {self.runtime or 'none'}, Spark {self.spark}, "
            f"Delta {self.delta or 'unknown'}, sensor-streams {self.wheel or 'not installed'}"
        )


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
