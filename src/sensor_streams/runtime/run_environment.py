"""What a run runs on: Java, runtime image, Spark, Delta, and the version of this package."""

import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

RUNTIME_VARIABLE = "DATABRICKS_RUNTIME_VERSION"
# What a cluster sets in its Spark configuration: the version key that it was made with, and the image behind that key.
# Features arrive under the same key when a cluster starts again, so the key alone does not say what ran.
_IMAGE = (
    "spark.databricks.clusterUsageTags.sparkVersion",
    "spark.databricks.clusterUsageTags.sparkImageLabel",
)


@dataclass(frozen=True)
class RunEnvironment:
    """Versions of one run. runtime: empty on a machine that is no Databricks cluster."""

    java: str
    runtime: str
    spark: str
    delta: str
    wheel: str

    @classmethod
    def of(cls, spark: SparkSession) -> "RunEnvironment":
        """Ask the session and the process; what does not answer is empty, and never stops a run."""
        told = [os.environ.get(RUNTIME_VARIABLE, ""), *(_conf(spark, name) for name in _IMAGE)]
        runtime = ", ".join(dict.fromkeys(one for one in told if one))
        return cls(_java(spark), runtime, spark.version, _delta(spark), _package("sensor-streams"))

    def __str__(self) -> str:
        """In one line, for the log."""
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
    """The version of the jar, which need not be that of the Python package; else the package's."""
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
