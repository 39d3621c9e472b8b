"""Evaluate expressions without generated code, for small batches."""

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

from sensor_streams.databricks import on_databricks

# Spark generates and compiles Java code for each query. For a few thousand rows that takes longer than the rows do.
# Measured on batches of 1,000 lines: 1.5 s with and 1.1 s without for `sensor_features` (see docs/performance.md).
INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}


@contextmanager
def interpreted(session: SparkSession, *, when: bool) -> Iterator[None]:
    """Interpret the queries inside the `with` block instead of compiling them, if `when` is true.

    Databricks has an engine of its own (Photon), so its settings stay as they are.
    """
    if not when or on_databricks(session):
        yield
        return
    before = {name: str(session.conf.get(name)) for name in INTERPRETED}
    for name, value in INTERPRETED.items():
        session.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            session.conf.set(name, value)
