"""Which lines of a batch are accepted, next to what is stored already."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

LINE = ("source_file", "line_hash", "line_occurrence")
KEY = ("device_id", "sensor", "event_time", "sequence")


# A time with more digits than a table keeps: two of them may be one microsecond.
_FINER = r'"event_time"\s*:\s*"[^"]*[.,]\d{7}'


def decide(parsed: DataFrame, stored: DataFrame, rejected: DataFrame) -> DataFrame:
    """Decide every line of a batch.

    parsed: rows of `parse`. stored: readings that may share a key with them (key, value, source_file, line_hash,
    line_occurrence). rejected: lines of these files that were rejected before (source_file, line_hash,
    line_occurrence, reason).
    Out: the columns of parsed; line_occurrence int (identical lines of one file count from 1); decision: accepted,
    rejected or duplicate; reason and detail of the rejected; stored: true when this very line is in its table.

    Of several lines with one key (device, sensor, event time, sequence) the stored one counts, else the one that
    arrived first (then by file name and hash). The same value again is a duplicate, another value a conflict.
    What was decided once stays: a line that is stored is accepted and one that was rejected is rejected, even if the
    configuration has changed since, so that the counts of a file never contradict the tables.
    What is worked out on the way has names that begin with _, which no field of a fleet has.
    """
    numbered = _numbered(parsed)
    # The caller says whether it is small enough to be sent to every task.
    before = rejected.select(*LINE, F.coalesce("reason", F.lit("rejected before")).alias("_reason_before"))
    known = numbered.join(before, list(LINE), "left")
    grouped = known.withColumn("_candidate", F.col("reason").isNull() & F.col("_reason_before").isNull()).select(
        "*", F.lit(False).alias("_old"), *[F.col(name).alias(f"_key_{name}") for name in KEY]
    )
    there = stored.select(
        *[F.lit(None).cast(f.dataType).alias(f.name) for f in grouped.schema.fields if f.name not in _STORED],
        "source_file",
        "line_hash",
        "line_occurrence",
        "value",
        F.lit(True).alias("_candidate"),
        F.lit(True).alias("_old"),
        *[F.col(name).alias(f"_key_{name}") for name in KEY],
    )
    together = grouped.unionByName(there)
    # Lines without a key have nobody to compete with: their own hash spreads them.
    keyless = F.col("_key_device_id").isNull() | F.col("_key_sensor").isNull() | F.col("_key_event_time").isNull()
    lone = F.when(keyless, F.xxhash64("source_file", "line_hash", "line_occurrence"))
    group = Window.partitionBy(*[f"_key_{name}" for name in KEY], "_lone")
    order = group.orderBy(
        F.col("_candidate").desc(),
        F.col("_old").desc(),
        F.col("arrived_at"),
        F.col("source_file"),
        F.col("line_hash"),
        F.col("line_occurrence"),
    )
    line = F.struct(*LINE)
    first = F.first(F.struct("_old", "value", *LINE)).over(order)
    competed = together.withColumn("_lone", lone).withColumn("_first", first).where("NOT _old")
    same_line = F.struct(*[F.col(f"_first.{name}").alias(name) for name in LINE]) == line
    is_stored = F.col("_first._old") & same_line
    is_first = F.col("_candidate") & same_line
    same_value = F.col("_candidate") & F.col("value").eqNullSafe(F.col("_first.value"))
    decision = (
        F.when(is_stored, "accepted")
        .when(F.col("_reason_before").isNotNull() | F.col("reason").isNotNull(), "rejected")
        .when(is_first, "accepted")
        .when(same_value, "duplicate")
        .otherwise("rejected")
    )
    conflict = F.concat(
        F.lit("value "),
        F.col("value").cast("string"),
        F.lit(" where "),
        F.col("_first.value").cast("string"),
        F.lit(" is stored from "),
        F.col("_first.source_file"),
        F.when(F.col("raw").rlike(_FINER), F.lit("; times are cut to microseconds: both are the same")).otherwise(""),
    )
    told = competed.withColumn("decision", decision).withColumn(
        "stored", F.coalesce(is_stored | F.col("_reason_before").isNotNull(), F.lit(False))
    )
    refused = F.col("decision") == "rejected"
    fresh = F.col("reason").isNull() & F.col("_reason_before").isNull()
    return (
        told.withColumn("detail", F.when(refused, F.coalesce("detail", F.when(fresh, conflict))))
        .withColumn("reason", F.when(refused, F.coalesce("_reason_before", "reason", F.lit("conflict"))))
        .drop("_old", "_candidate", "_first", "_lone", "_reason_before", *[f"_key_{name}" for name in KEY])
    )


_STORED = {
    "source_file",
    "line_hash",
    "line_occurrence",
    "value",
    "_candidate",
    "_old",
    *[f"_key_{name}" for name in KEY],
}


def _numbered(parsed: DataFrame) -> DataFrame:
    """line_occurrence: which one of the identical lines of its file this is. It depends on the file alone."""
    same = Window.partitionBy("source_file", "line_hash").orderBy(F.lit(1))
    return parsed.withColumn("line_occurrence", F.row_number().over(same))
