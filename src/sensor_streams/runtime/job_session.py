"""Spark session of a deployed task."""

import re

from pyspark.sql import SparkSession

from sensor_streams.errors import MachineError

# From this version on, each batch over Spark Connect has a session of its own (Spark's streaming migration guide).
_OWN_SESSIONS = (4, 3)


def job_session() -> SparkSession:
    """Return the session of the cluster that runs this task, with times in UTC.

    Raises MachineError for Spark Connect before Spark 4.3, and for a JVM that cannot read all file names.
    """
    spark = SparkSession.builder.getOrCreate()
    refuse_connect(spark)
    _check_file_names(spark)
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    return spark


def refuse_connect(spark: SparkSession) -> None:
    """Raise MachineError for a session over Spark Connect before Spark 4.3; only its version is read."""
    if not over_connect(spark):
        return
    version = str(spark.version)
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is not None and (int(found[1]), int(found[2])) >= _OWN_SESSIONS:
        return
    raise MachineError(
        f"this task runs over Spark Connect (standard access mode or serverless) on Spark {version}. Before Spark "
        f"{'.'.join(map(str, _OWN_SESSIONS))} the batches of all streams run there in one session: the transaction ids "
        "that one stream sets would apply to all, and Delta would skip writes. Nothing was read or written. Set "
        "data_security_mode: DATA_SECURITY_MODE_DEDICATED on the job's cluster"
    )


def over_connect(spark: SparkSession) -> bool:
    """Return True for Spark Connect, by the class's module name: an import of the class would need more packages."""
    return any(kind.__module__.startswith("pyspark.sql.connect") for kind in type(spark).__mro__)


def _check_file_names(spark: SparkSession) -> None:
    """Raise MachineError when the JVM would skip files whose names are not ASCII, without an error."""
    jvm = spark._jvm
    encoding = None if jvm is None else jvm.java.lang.System.getProperty("sun.jnu.encoding")
    if encoding is not None and encoding.upper().replace("-", "") != "UTF8":
        raise MachineError(
            f"Java reads file names as {encoding} and would skip files whose names have other letters: set LC_ALL to "
            "a locale with UTF-8, such as C.UTF-8, before the driver starts"
        )
