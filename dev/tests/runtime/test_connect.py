"""A task over Spark Connect: refused at start, before anything is read or written."""

from pathlib import Path
from typing import Any, cast

import pytest
from pyspark.sql import SparkSession

from sensor_streams.errors import MachineError
from sensor_streams.runtime.job_session import over_connect, refuse_connect
from sensor_streams.runtime.task import run_task
from sensor_streams.settings import load_settings

# Databricks' documents on standard access mode, and Spark's streaming migration guide (before 4.3).
REASON = r"Before Spark 4\.3 the batches of all streams run there in one session: the transaction ids"


def connect_session(version: str) -> SparkSession:
    """Return a double of a Spark Connect session, of which only the version can be read.

    The real class needs grpc. Both are recognized by the module of the class.
    """

    class Connected:
        def __getattribute__(self, name: str) -> Any:
            if name == "version":
                return version
            raise AssertionError(f"{name} was used")

    Connected.__module__ = "pyspark.sql.connect.session"
    return cast(SparkSession, type("Own", (Connected,), {})())


@pytest.mark.parametrize("version", ["4.1.0", "3.5.2", "4.2.0", "unknown"])
def test_a_task_over_spark_connect_is_refused_before_it_reads_or_writes(tmp_path: Path, version: str) -> None:
    folders = {name: str(tmp_path / name) for name in ("landing", "checkpoints", "tables")}
    settings = load_settings({"catalog": "main", "schema": "plant", **folders})
    with pytest.raises(MachineError, match=REASON):
        run_task(connect_session(version), settings, ["readings"])
    assert list(tmp_path.iterdir()) == []


def test_a_session_over_connect_from_spark_4_3_on_is_not_refused() -> None:
    for version in ("4.3.0", "4.10.0", "5.0.0"):
        refuse_connect(connect_session(version))


def test_a_session_with_a_jvm_is_not_refused(spark: SparkSession) -> None:
    assert not over_connect(spark)
    refuse_connect(spark)


def test_a_real_session_over_connect_is_refused() -> None:
    pytest.importorskip("grpc", reason="Spark Connect needs grpc")
    from pyspark.sql.connect.session import SparkSession as Connect

    assert over_connect(cast(SparkSession, Connect.__new__(Connect)))
