"""A file of Spark's classes, read and checked once, with which each JVM of this environment starts faster.

Java calls it a class data sharing (CDS) archive. A JVM ignores an archive that was made by another version of Java or
with other jars.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession

ARCHIVE = Path(sys.prefix) / "spark-classes.jsa"
# Without the archive's warnings in the log.
_QUIET = "-Xlog:cds*=off"
_DEADLINE = 120.0  # seconds


def archive_option() -> str:
    """Return the JVM's option for the archive; empty without an archive."""
    # The option is quoted, because the folder may have a space in its name.
    return f'"-XX:SharedArchiveFile={ARCHIVE}" {_QUIET}' if ARCHIVE.is_file() and '"' not in str(ARCHIVE) else ""


def recording_option() -> str:
    """Return the JVM's option to write the archive when it ends (see `finish_recording`); remove an older archive."""
    ARCHIVE.unlink(missing_ok=True)
    return f'"-XX:ArchiveClassesAtExit={_unfinished()}" {_QUIET}'


def load_usual_classes(spark: SparkSession) -> None:
    """Write and read a Delta table, and stream it into another: this loads the classes that a run needs."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/source", f"{folder}/target"
        spark.range(100).selectExpr("id", "string(id) AS text").write.format("delta").save(source)

        def append(rows: DataFrame, _: int) -> None:
            rows.groupBy("text").count().write.format("delta").mode("append").save(target)

        stream = spark.readStream.format("delta").load(source)
        query = stream.writeStream.foreachBatch(append).option("checkpointLocation", f"{folder}/checkpoint")
        query.trigger(availableNow=True).start().awaitTermination()
        spark.read.format("delta").load(target).toArrow()


def finish_recording(spark: SparkSession) -> bool:
    """End Spark and its JVM, which then writes the archive; return False when it did not."""
    spark.stop()
    gateway = SparkContext._gateway
    process: subprocess.Popen[bytes] | None = getattr(gateway, "proc", None)
    if gateway is None or process is None or process.stdin is None:
        return False
    gateway.shutdown()
    process.stdin.close()
    try:
        process.wait(_DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
    SparkContext._gateway = SparkContext._jvm = None
    if not _unfinished().is_file():
        return False
    _unfinished().replace(ARCHIVE)
    return True


def _unfinished() -> Path:
    return ARCHIVE.with_suffix(".unfinished")
