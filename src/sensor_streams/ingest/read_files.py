"""Read the files of a batch as lines; set aside files that cannot be read, with the reason."""

import re
from collections.abc import Collection, Mapping, Sequence

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.hadoop_files import file_system
from sensor_streams.incremental.small_rows import as_rows, fetch_small
from sensor_streams.ingest.compression import could_hold_long_line, may_read_as_empty, unsupported_format
from sensor_streams.ingest.corrupt_files import corrupt_files
from sensor_streams.ingest.landing_files import LandedFile, Landing
from sensor_streams.ingest.long_lines import first_long_line_of
from sensor_streams.ingest.parse import parse
from sensor_streams.ingest.plain_lines import read_plain

# Longest line that is read into memory. The reader drops a longer one, and its file is set aside. Spark needs many
# times its size: with 64 MB, a driver of 1.5 GB ran out of memory.
LONGEST_IN_MEMORY = 16 << 20
_SHORT = 4096  # bytes of a line that may be fetched to the driver
_LIMIT = "mapreduce.input.linerecordreader.line.maxlength"
_EMPTY = 14  # bytes of a bzip2 file without content; Hadoop's block formats have 4


def read_files(
    files: Collection[LandedFile], landing: Landing, fleet: Fleet, spark: SparkSession
) -> tuple[DataFrame, Mapping[str, str]]:
    """Return the parsed lines (see `parse`) of the readable files, and the other files (name → reason).

    Raises InputError when storage cannot be read.
    """
    aside = _unsupported(files, landing, spark)
    good = [file for file in files if file.size and file.name not in aside]
    try:
        parsed = _parse(good, landing, fleet, spark)
    except (PySparkException, Py4JJavaError):
        corrupt = corrupt_files(spark, [file.path for file in good], lambda paths: _read_to_end(spark, paths, fleet))
        if not corrupt:
            raise
        aside |= {file.name: corrupt[file.path] for file in good if file.path in corrupt}
        good = [file for file in good if file.path not in corrupt]
        parsed = _parse(good, landing, fleet, spark)
    incomplete = _incomplete(parsed, good, landing, fleet, spark)
    if incomplete:
        parsed = parsed.where(~F.col("source_file").isin(list(incomplete)))
    return parsed, {**aside, **incomplete}


def _unsupported(files: Collection[LandedFile], landing: Landing, spark: SparkSession) -> dict[str, str]:
    """Return the files whose name or format Spark cannot read (name → reason)."""
    aside: dict[str, str] = {}
    for file in files:
        if ":" in file.name.rsplit("/", 1)[-1] and _is_local(landing, spark):
            # Hadoop's local file system looks for `.<name>.crc` and treats the part before the colon as a scheme.
            aside[file.name] = "a colon in the name, which Hadoop's local file system cannot open: rename the file"
        elif file.size:
            reason = unsupported_format(spark, file)
            if reason is not None:
                aside[file.name] = reason
    return aside


def _is_local(landing: Landing, spark: SparkSession) -> bool:
    if spark._jvm is None:
        return False
    system, _ = file_system(spark, landing.address)
    return str(system.getUri().getScheme()) == "file"


def _incomplete(
    parsed: DataFrame, files: Sequence[LandedFile], landing: Landing, fleet: Fleet, spark: SparkSession
) -> dict[str, str]:
    """Return the files of which Spark dropped lines without an error (name → reason).

    Spark drops a line that is too long, and reads some damaged files as empty. Only doubtful files are counted, and a
    file is read a second time only when the lines do not explain its size.
    """
    longest = _longest(fleet)
    doubtful = [file for file in files if may_read_as_empty(file.name) or could_hold_long_line(file, longest)]
    if not doubtful:
        return {}
    size = F.octet_length("raw")
    rows = (
        parsed.where(F.col("source_file").isin([file.name for file in doubtful]))
        .groupBy("source_file")
        .agg(F.count(F.lit(1)), F.sum(size), F.max(size))
        .collect()
    )
    found = {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in rows}
    aside = {}
    for file in doubtful:
        lines, octets, longest_read = found.get(file.name, (0, 0, 0))
        if could_hold_long_line(file, longest):
            number = first_long_line_of(spark, landing, file, longest, lines, octets, longest_read)
            if number is not None:
                aside[file.name] = (
                    f"line {number} is longer than {longest >> 20} MB, the limit of memory for a line: "
                    "split the file, or remove that line"
                )
                continue
        if not lines and may_read_as_empty(file.name) and file.size > _EMPTY:
            aside[file.name] = f"damaged: Spark finds no {file.name.rsplit('.', 1)[-1]} content in it"
    return aside


def _longest(fleet: Fleet) -> int:
    return max(LONGEST_IN_MEMORY, fleet.accept.longest_line)


def _text(spark: SparkSession, paths: Collection[str], fleet: Fleet) -> DataFrame:
    # Escaped, because Spark treats a path as a pattern.
    literal = [re.sub(r"([\\{}\[\]*?^])", r"\\\1", path) for path in paths]
    return spark.read.option(_LIMIT, str(_longest(fleet) + 1)).text(literal)


def _read_to_end(spark: SparkSession, paths: Collection[str], fleet: Fleet) -> None:
    _text(spark, paths, fleet).write.format("noop").mode("overwrite").save()


def _parse(files: Collection[LandedFile], landing: Landing, fleet: Fleet, spark: SparkSession) -> DataFrame:
    if files:
        lines = _text(spark, [file.path for file in files], fleet).select(
            F.col("value").alias("raw"),
            landing.name_of(F.col("_metadata.file_path")).alias("source_file"),
            F.col("_metadata.file_modification_time").alias("arrived_at"),
        )
    else:
        lines = spark.createDataFrame([], "raw string, source_file string, arrived_at timestamp")
    return _parse_lines(lines, fleet)


def _parse_lines(lines: DataFrame, fleet: Fleet) -> DataFrame:
    """Return the parsed lines: plain ones the fast way, then the others."""
    fast = read_plain(lines, fleet).localCheckpoint()
    others = fast.where("NOT is_plain").select(F.col("raw").cast("binary"), "source_file", "arrived_at")
    # Lines are fetched only when they are few and short: thousands of long ones would fill the driver's memory.
    few = fetch_small(others.withColumn("raw", F.when(F.octet_length("raw") <= _SHORT, F.col("raw"))))
    plain = fast.where("is_plain").drop("is_plain")
    if few is not None and not few.num_rows:
        return plain
    rest = others if few is None or few["raw"].null_count else as_rows(few, others)
    slow = parse(rest.withColumn("raw", F.col("raw").cast("string")), fleet)
    return plain.unionByName(slow.localCheckpoint())
