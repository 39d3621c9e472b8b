"""Read the files of a batch as lines; a file that cannot be read is set aside by name, with the reason."""

import re
from collections.abc import Collection, Mapping, Sequence

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.hadoop_files import file_system
from sensor_streams.ingest.compression import could_hold_long_line, may_read_as_nothing, unread_form
from sensor_streams.ingest.corrupt_files import damaged_files
from sensor_streams.ingest.landing_files import LandedFile, Landing
from sensor_streams.ingest.long_lines import has_long_line
from sensor_streams.ingest.parse import parse

# A line up to this size is rejected as `line_too_long` and kept whole. A longer one is not held in memory at all: the
# reader drops it, and its file is set aside.
LONGEST_HELD = 64 << 20
_LIMIT = "mapreduce.input.linerecordreader.line.maxlength"
_NOTHING = 14  # bytes of a bzip2 file without content; Hadoop's block formats have 4


def read_files(
    files: Collection[LandedFile], landing: Landing, fleet: Fleet, spark: SparkSession
) -> tuple[DataFrame, Mapping[str, str]]:
    """Return the parsed lines of the files (see `parse`), and the files that cannot be read (name → reason).

    Lines of a file that is set aside are not among the lines. Raises InputError when storage cannot be read.
    """
    aside = _refused_by_name(files, landing, spark)
    good = [file for file in files if file.size and file.name not in aside]
    try:
        parsed = _parse(good, landing, fleet, spark)
    except (PySparkException, Py4JJavaError):
        damaged = damaged_files(spark, [file.path for file in good], lambda paths: _drain(spark, paths, fleet))
        if not damaged:
            raise
        aside |= {file.name: damaged[file.path] for file in good if file.path in damaged}
        good = [file for file in good if file.path not in damaged]
        parsed = _parse(good, landing, fleet, spark)
    late = _refused_by_content(parsed, good, landing, fleet, spark)
    if late:
        parsed = parsed.where(~F.col("source_file").isin(list(late)))
    return parsed, {**aside, **late}


def _refused_by_name(files: Collection[LandedFile], landing: Landing, spark: SparkSession) -> dict[str, str]:
    """Return the files that are known to be unreadable before Spark tries them."""
    aside: dict[str, str] = {}
    for file in files:
        if ":" in file.name.rsplit("/", 1)[-1] and _is_local(landing, spark):
            # Hadoop's local file system looks for `.<name>.crc`, and takes what stands before the colon for a scheme.
            aside[file.name] = "a colon in the name, which Hadoop's local file system cannot open: rename the file"
        elif file.size:
            reason = unread_form(spark, file)
            if reason is not None:
                aside[file.name] = reason
    return aside


def _is_local(landing: Landing, spark: SparkSession) -> bool:
    if spark._jvm is None:
        return False
    system, _ = file_system(spark, landing.address)
    return str(system.getUri().getScheme()) == "file"


def _refused_by_content(
    parsed: DataFrame, files: Sequence[LandedFile], landing: Landing, fleet: Fleet, spark: SparkSession
) -> dict[str, str]:
    """Return the files whose lines are not all there: one is too long to be held, or the codec found nothing.

    No error says so. What Spark read is counted for the files that could hold such a line, by their size; only a file
    whose count does not explain its size is read a second time.
    """
    longest = _longest(fleet)
    asked = [file for file in files if may_read_as_nothing(file.name) or could_hold_long_line(file, longest)]
    if not asked:
        return {}
    size = F.octet_length("raw")
    rows = (
        parsed.where(F.col("source_file").isin([file.name for file in asked]))
        .groupBy("source_file")
        .agg(F.count(F.lit(1)), F.sum(size), F.max(size))
        .collect()
    )
    found = {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in rows}
    aside = {}
    for file in asked:
        lines, octets, most = found.get(file.name, (0, 0, 0))
        if could_hold_long_line(file, longest):
            at = has_long_line(spark, landing, file, longest, lines, octets, most)
            if at is not None:
                aside[file.name] = (
                    f"line {at} is longer than {longest >> 20} MB, more than is held in memory: "
                    "split the file, or take that line out"
                )
                continue
        if not lines and may_read_as_nothing(file.name) and file.size > _NOTHING:
            aside[file.name] = f"damaged: no {file.name.rsplit('.', 1)[-1]} content in it that Spark can read"
    return aside


def _longest(fleet: Fleet) -> int:
    return max(LONGEST_HELD, fleet.accept.longest_line)


def _text(spark: SparkSession, paths: Collection[str], fleet: Fleet) -> DataFrame:
    # Names are taken literally: what looks like a pattern in one would match other files.
    literal = [re.sub(r"([\\{}\[\]*?^])", r"\\\1", path) for path in paths]
    return spark.read.option(_LIMIT, str(_longest(fleet) + 1)).text(literal)


def _drain(spark: SparkSession, paths: Collection[str], fleet: Fleet) -> None:
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
    return parse(lines, fleet).localCheckpoint()
