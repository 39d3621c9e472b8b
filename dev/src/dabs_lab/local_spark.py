"""Start Spark with Delta on this machine: Java, settings, log file."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dabs_lab.class_archive import archive_option
from dabs_lab.errors import MachineError
from dabs_lab.machine_checks import check_names, check_spark_home, check_user, names_in_utf_8

DELTA_JAR = "io.delta:delta-spark_4.1_2.13:4.4.0"
JAVA_VERSIONS = (17, 21)
# The JVM does not compile methods over 8,000 bytes, and Spark generates longer ones for wide batches. Measured: parsing
# is 1.7 times as fast with this option.
_LONG_METHODS = "-XX:-DontCompileHugeMethods"
# Java's default collector works in the background, on cores that a small machine does not have. Measured on 2 cores:
# `make demo` takes 91 s with this one and 101 s with the default.
_COLLECTOR = "-XX:+UseParallelGC"

# Lines of a stack trace; the error message is above them.
_STACK = re.compile(r"\s*(at |\.\.\. \d+ more|File \")")
_ERROR_LINE = re.compile(r"error|exception|not found|could not|cannot|denied|no space", re.IGNORECASE)

# Each setting with its reason. Tests and runs use the same ones.
LOCAL_SETTINGS: dict[str, str] = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # Spark's resolver downloads the Delta jar and caches it for all projects of the user.
    "spark.jars.packages": DELTA_JAR,
    # UTC everywhere: with local time, windows would differ between machines.
    "spark.sql.session.timeZone": "UTC",
    # One driver has few cores: the default of 200 shuffle partitions would make 200 tiny tasks per batch.
    "spark.sql.shuffle.partitions": "2",
    # Adaptive planning costs more than it saves for small batches.
    "spark.sql.adaptive.enabled": "false",
    # Delta's state is a few files here; the default of 50 partitions costs seconds per commit.
    "spark.databricks.delta.snapshotPartitions": "1",
    # VACUUM lists folders in this many tasks; the default of 10,000 takes minutes per table.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    # Sources of merges are checkpointed before, so Delta need not materialise them again.
    "spark.databricks.delta.merge.materializeSource": "none",
    # These two use fewer processes (chmod, readlink): the default ones start 18 per batch, which takes 0.1 to 0.3 s. A
    # commit still gets its name in one step. Only `_last_checkpoint` is written in place; Delta can do without it.
    "spark.delta.logStore.file.impl": "io.delta.storage.LocalLogStore",
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
    ),
    # Without the Python call site of each column, which doubles the number of calls to the JVM.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    # No web UI; listen on loopback only.
    "spark.ui.enabled": "false",
    # Spark keeps the data of the UI anyway: hundreds of megabytes after some hours.
    "spark.ui.retainedJobs": "5",
    "spark.ui.retainedStages": "5",
    "spark.ui.retainedTasks": "50",
    "spark.sql.ui.retainedExecutions": "5",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    # Progress of batches must be kept until it is read.
    "spark.sql.streaming.numRecentProgressUpdates": "100",
    # No metastore database.
    "spark.sql.catalogImplementation": "in-memory",
    # Larger Pandas batches save round trips to the Python workers.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Generated code is the same in each batch; the default of 1,000 cached classes is too few for several streams.
    "spark.sql.codegen.cache.maxEntries": "4000",
}


def local_session(
    app_name: str,
    log_file: Path | None = None,
    *,
    cores: int | str = "*",
    memory: str = "2g",
    warehouse: Path | None = None,
    settings: dict[str, str] | None = None,
    java_options: str = "",
) -> SparkSession:
    """Return a session with Delta on this machine; `log_file` gets all output of Spark and its JVM.

    Raises MachineError if a suitable Java is missing or Spark does not start.
    """
    check_java()
    check_user()
    check_spark_home()
    # By default, Python workers start with the first "python3" on the path.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.master(f"local[{cores}]").appName(app_name)
    conf = dict(LOCAL_SETTINGS)
    conf["spark.driver.memory"] = memory
    conf["spark.sql.warehouse.dir"] = str((warehouse or Path(".local/warehouse")).absolute())
    if log_file is not None:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        # A URI contains no space, quote or comma, whatever the name of the folder.
        java_options = f"-Dlog4j2.configurationFile={write_log_settings(log_file).as_uri()} {java_options}"
    conf["spark.driver.extraJavaOptions"] = with_usual_java_options(java_options)
    for name, value in (conf | (settings or {})).items():
        builder = builder.config(name, value)
    before = log_file.stat().st_size if log_file is not None and log_file.exists() else 0
    try:
        with _output_to(log_file), names_in_utf_8():
            spark = builder.getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        reason, where = str(error).strip() or type(error).__name__, ""
        if log_file is not None:
            reason = last_error_line(log_file, before) or reason
            where = f"; its log is {log_file.absolute()}"
        raise MachineError(f"Spark does not start: {reason.splitlines()[0]}{where}") from None
    check_names(spark)
    return spark


def with_usual_java_options(more: str = "", environment: Mapping[str, str] | None = None) -> str:
    """Return the options of every JVM on this machine, followed by `more`; environment: that of the JVM, if another."""
    variables = os.environ if environment is None else environment
    given = " ".join([more, *(variables.get(name, "") for name in ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"))])
    # With two collectors Java does not start.
    collector = "" if re.search(r"-XX:\+Use\w+GC\b", given) else _COLLECTOR
    return " ".join(option for option in (_LONG_METHODS, collector, archive_option(), more) if option)


def java_executable() -> str | None:
    """Return the `java` that Spark starts: from JAVA_HOME if set, else the first on the path; None if missing."""
    home = os.environ.get("JAVA_HOME")
    if home:
        candidate = Path(home) / "bin" / "java"
        return str(candidate) if candidate.exists() else None
    return shutil.which("java")


def check_java() -> None:
    """Raise MachineError if Java is missing or Spark 4 does not support its version."""
    required = " or ".join(str(v) for v in JAVA_VERSIONS)
    java = java_executable()
    if java is None:
        where = "under JAVA_HOME" if os.environ.get("JAVA_HOME") else "on the path"
        raise MachineError(f"Java {required} is needed and none was found {where}: install it or set JAVA_HOME")
    try:
        result = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise MachineError(f"{java} does not start ({error.strerror}): set JAVA_HOME to Java {required}") from None
    found = re.search(r'version "(\d+)', result.stderr + result.stdout)
    if found is None or int(found.group(1)) not in JAVA_VERSIONS:
        version = found.group(1) if found else "no version"
        raise MachineError(f"Java {required} is needed and {java} is {version}: set JAVA_HOME to the right one")


def write_log_settings(log_file: Path) -> Path:
    """Write the log4j settings of a JVM that logs to `log_file`; return their path."""
    settings = log_file.with_suffix(".log4j2.properties")
    settings.write_text(
        "rootLogger.level = warn\n"
        "rootLogger.appenderRef.file.ref = file\n"
        "appender.file.type = File\n"
        "appender.file.name = file\n"
        f"appender.file.fileName = {escape_property(str(log_file.absolute()))}\n"
        "appender.file.layout.type = PatternLayout\n"
        "appender.file.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex\n",
        encoding="utf-8",
    )
    return settings.absolute()


def escape_property(text: str) -> str:
    """Escape a text for a Java properties file."""
    units = text.replace("\\", "\\\\").encode("utf-16-be")
    codes = [units[at] << 8 | units[at + 1] for at in range(0, len(units), 2)]
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)


def last_error_line(log_file: Path, begin: int) -> str | None:
    """Return the last line after byte `begin` that contains an error, or else the last line."""
    with log_file.open("rb") as log:
        log.seek(begin)
        text = log.read().decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _STACK.match(line)]
    return next((line for line in reversed(lines) if _ERROR_LINE.search(line)), lines[-1] if lines else None)


@contextmanager
def _output_to(log_file: Path | None) -> Iterator[None]:
    """Redirect output to the file while the JVM starts, which inherits it; restore this process's output."""
    if log_file is None:
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with log_file.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            os.close(kept[0])
            os.close(kept[1])
