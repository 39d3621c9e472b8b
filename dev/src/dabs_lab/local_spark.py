"""Start Spark with Delta on this machine: Java, settings, log file."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dabs_lab.errors import MachineError
from dabs_lab.machine_checks import check_names, check_spark_home, check_user, names_in_utf_8

DELTA_JAR = "io.delta:delta-spark_4.1_2.13:4.4.0"
JAVA_VERSIONS = (17, 21)
# The JVM leaves methods of more than 8,000 bytes uncompiled, and what Spark generates for a batch with many checks or
# columns is longer. Measured: lines are parsed 1.7 times as fast with it.
JAVA_OPTIONS = "-XX:-DontCompileHugeMethods"

# Lines of a stack trace say where in Spark it was; what happened stands above them.
_STACK = re.compile(r"\s*(at |\.\.\. \d+ more|File \")")
_TELLING = re.compile(r"error|exception|not found|could not|cannot|denied|no space", re.IGNORECASE)

# Each setting with its reason; tests and demo use the same ones, so that what is tested is what runs.
LOCAL_SETTINGS: dict[str, str] = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # Delta comes as a jar through Spark's own resolver, which caches it for all projects of the user.
    "spark.jars.packages": DELTA_JAR,
    # Times are UTC everywhere: a session in local time would cut windows differently on each machine.
    "spark.sql.session.timeZone": "UTC",
    # One driver with a few cores: 200 shuffle partitions would be 200 tasks of a few rows in each batch.
    "spark.sql.shuffle.partitions": "2",
    # Plans of batches that touch little are small; adaptive planning would cost more than it saves.
    "spark.sql.adaptive.enabled": "false",
    # Delta's own state is a few files here: one partition is enough (the default of 50 costs seconds a commit).
    "spark.databricks.delta.snapshotPartitions": "1",
    # VACUUM lists folders in this many tasks, whatever there is: the default of 10,000 is minutes for each table.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    # What is merged is checkpointed before, so Delta need not materialise it once more.
    "spark.databricks.delta.merge.materializeSource": "none",
    # Nothing listens beyond loopback, and no page is needed.
    "spark.ui.enabled": "false",
    # What the page would show is kept all the same, plans of wide rows among it: hundreds of megabytes after a while.
    "spark.ui.retainedJobs": "5",
    "spark.ui.retainedStages": "5",
    "spark.ui.retainedTasks": "50",
    "spark.sql.ui.retainedExecutions": "5",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    # Batches are kept in the progress until the supervisor has read them.
    "spark.sql.streaming.numRecentProgressUpdates": "100",
    # The catalog is a small file of this project and not a database: entries are registered when a session starts.
    "spark.sql.catalogImplementation": "in-memory",
    # Pandas batches of the models: larger ones save round trips to the Python workers.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # What a batch generates as code is the same in the next one: keep it (the default of 1,000 classes is
    # too few for eight streams with wide rows).
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
    """A session with Delta on this machine; all that Spark and its JVM say goes to `log_file`.

    Raises MachineError when there is no Java that Spark can use, or Spark does not start.
    """
    check_java()
    check_user()
    check_spark_home()
    # Python workers start with whatever "python3" is found first unless they are told.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.master(f"local[{cores}]").appName(app_name)
    conf = dict(LOCAL_SETTINGS)
    conf["spark.driver.memory"] = memory
    conf["spark.sql.warehouse.dir"] = str((warehouse or Path(".local/warehouse")).absolute())
    if log_file is not None:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        # As an address: whatever the folder is called, this holds no space, quote or comma.
        java_options = f"-Dlog4j2.configurationFile={log_settings(log_file).as_uri()} {java_options}"
    conf["spark.driver.extraJavaOptions"] = f"{JAVA_OPTIONS} {java_options}".strip()
    for name, value in (conf | (settings or {})).items():
        builder = builder.config(name, value)
    before = log_file.stat().st_size if log_file is not None and log_file.exists() else 0
    try:
        with _output_to(log_file), names_in_utf_8():
            spark = builder.getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        told, where = str(error).strip() or type(error).__name__, ""
        if log_file is not None:
            told = last_telling_line(log_file, before) or told
            where = f"; all that it said is in {log_file.absolute()}"
        raise MachineError(f"Spark does not start: {told.splitlines()[0]}{where}") from None
    check_names(spark)
    return spark


def java_executable() -> str | None:
    """The `java` that Spark would start: of JAVA_HOME if that is set, else the first of the path."""
    home = os.environ.get("JAVA_HOME")
    if home:
        candidate = Path(home) / "bin" / "java"
        return str(candidate) if candidate.exists() else None
    return shutil.which("java")


def check_java() -> None:
    """Raise MachineError, in one line, when Java is missing or of a version that Spark 4 does not run on."""
    wanted = " or ".join(str(v) for v in JAVA_VERSIONS)
    java = java_executable()
    if java is None:
        where = "under JAVA_HOME" if os.environ.get("JAVA_HOME") else "on the path"
        raise MachineError(f"Java {wanted} is needed and none was found {where}: install it or set JAVA_HOME")
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise MachineError(f"{java} does not start ({error.strerror}): set JAVA_HOME to Java {wanted}") from None
    found = re.search(r'version "(\d+)', said.stderr + said.stdout)
    if found is None or int(found.group(1)) not in JAVA_VERSIONS:
        version = found.group(1) if found else "no version"
        raise MachineError(f"Java {wanted} is needed and {java} is {version}: set JAVA_HOME to the right one")


def log_settings(log_file: Path) -> Path:
    """Write the file by which a JVM logs to `log_file`; its path."""
    settings = log_file.with_suffix(".log4j2.properties")
    settings.write_text(
        "rootLogger.level = warn\n"
        "rootLogger.appenderRef.file.ref = file\n"
        "appender.file.type = File\n"
        "appender.file.name = file\n"
        f"appender.file.fileName = {in_properties(str(log_file.absolute()))}\n"
        "appender.file.layout.type = PatternLayout\n"
        "appender.file.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex\n",
        encoding="utf-8",
    )
    return settings.absolute()


def in_properties(text: str) -> str:
    """A text as Java reads it from a file of properties: in Latin-1, with a backslash as the sign of an escape."""
    units = text.replace("\\", "\\\\").encode("utf-16-be")
    codes = [units[at] << 8 | units[at + 1] for at in range(0, len(units), 2)]
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)


def last_telling_line(log_file: Path, begin: int) -> str | None:
    """The last line after so many bytes that says what went wrong, or else the last one."""
    with log_file.open("rb") as log:
        log.seek(begin)
        text = log.read().decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _STACK.match(line)]
    return next((line for line in reversed(lines) if _TELLING.search(line)), lines[-1] if lines else None)


@contextmanager
def _output_to(log_file: Path | None) -> Iterator[None]:
    """Point this process's output at the file while the JVM starts: it inherits it for life, this process does not."""
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
