"""pytest plugin: tests use the Spark session of Delta's quick start instead of ours.

    python -m pytest -p benchmarks.quick_start_session tests/features

The session is made as the section "Python" of Delta's quick start says: `configure_spark_with_delta_pip` on a builder
with Delta's extension and catalog, and `local[*]` as master. Only the folder of its files is our choice, so that the
tests leave nothing in the current folder. pytest loads a plugin before `conftest.py`, which then imports this session.
"""

import os
import sys
import tempfile
from typing import Any

from delta import configure_spark_with_delta_pip
from pyspark.sql import SparkSession

from dabs_lab import local_spark


def quick_start_session(app_name: str, *_: Any, **__: Any) -> SparkSession:
    """Return the session of the quick start. It ignores the settings that our tests give."""
    # Python workers need the packages of this environment, whatever is first on the path.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = (
        SparkSession.builder.master("local[*]")
        .appName(app_name)
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.warehouse.dir", tempfile.mkdtemp(prefix="warehouse-"))
    )
    session: SparkSession = configure_spark_with_delta_pip(builder).getOrCreate()
    return session


local_spark.local_session = quick_start_session
