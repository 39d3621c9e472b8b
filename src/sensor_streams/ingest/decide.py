"""Decide which lines of a batch are accepted, compared with the stored ones."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from sensor_streams.incremental.small_rows import kept

LINE = ("source_file", "line_hash", "line_occurrence")
# Identical lines of a file have the same values in these columns.
_CONTENT = ("source_file", "line_hash")
KEY = ("device_id", "sensor", "event_time", "sequence")

_KEY = [f"_key_{name}" for name in KEY]
# An event time with more digits than a table keeps: two of them may be the same microsecond.
_FINER = r"[.,]\d{7}"


def decide_most_directly(parsed: DataFrame, stored: DataFrame, rejected: DataFrame) -> DataFrame:
    """Decide every line of a large batch; same input and output as `decide`, which sorts all lines.

    Most lines have a key that no other line and no stored reading has, and no identical line in their file: the reason
    of `parse` alone decides them. Only the others are compared with each other. Equal hashes of different keys do no
    harm: these lines are compared too.
    """
    marked = parsed.withColumn("_key_hash", F.when(F.col("reason").isNull(), F.xxhash64(*KEY)))
    rivals = stored.withColumn("_key_hash", F.xxhash64(*KEY))
    keys = marked.where("_key_hash IS NOT NULL").select("_key_hash").unionAll(rivals.select("_key_hash"))
    contested = _keys(keys.groupBy("_key_hash").count().where("count > 1").select("_key_hash"))
    repeated = marked.groupBy(*_CONTENT).count().where("count > 1").select(*_CONTENT)
    known = _keys(repeated.unionAll(rejected.select(*_CONTENT)))
    uncontested = marked.join(contested, "_key_hash", "left_anti")
    compared = marked.join(contested, "_key_hash", "left_semi").unionByName(
        uncontested.join(known, list(_CONTENT), "left_semi")
    )
    direct = uncontested.join(known, list(_CONTENT), "left_anti").withColumns(
        {
            "line_occurrence": F.lit(1),
            "decision": F.when(F.col("reason").isNull(), "accepted").otherwise("rejected"),
            "stored": F.lit(False),
        }
    )
    rivals = rivals.join(contested, "_key_hash", "left_semi")
    decided = decide(compared.drop("_key_hash"), rivals.drop("_key_hash"), rejected)
    return decided.unionByName(direct.drop("_key_hash"))


def _keys(keys: DataFrame) -> DataFrame:
    """Return keys, computed once; a few of them are broadcast."""
    rows, few = kept(keys)
    return rows if few is None else F.broadcast(rows)


def decide(parsed: DataFrame, stored: DataFrame, rejected: DataFrame) -> DataFrame:
    """Decide every line of a batch.

    parsed: rows of `parse`. stored: readings that may share a key with them (key, value, source_file, line_hash,
    line_occurrence). rejected: lines of these files that were rejected before (source_file, line_hash,
    line_occurrence, reason).
    Out: the columns of parsed; line_occurrence int (number of a line among identical ones of its file); decision:
    accepted, rejected or duplicate; reason and detail of the rejected; stored: true when its table has this line.

    Several lines may have one key (device, sensor, event time, sequence). The stored line wins. Otherwise the line that
    arrived first wins, then the first by file name and hash. Of the other lines, one with the winner's value is a
    duplicate, one with another value is a conflict.
    A decision never changes: stored lines stay accepted and rejected lines stay rejected, even when the configuration
    has changed since. So the counts of a file always agree with the tables.
    Names of intermediate columns begin with _; a field of a fleet cannot have such a name.
    """
    competing = _competing(parsed, stored, rejected)
    first_line = F.struct(*[F.col(f"_first.{name}").alias(name) for name in LINE])
    is_first = first_line == F.struct(*LINE)
    is_stored = F.col("_first._old") & is_first
    decision = (
        F.when(is_stored, "accepted")
        .when(F.col("_reason_before").isNotNull() | F.col("reason").isNotNull(), "rejected")
        .when(F.col("_candidate") & is_first, "accepted")
        .when(F.col("_candidate") & F.col("value").eqNullSafe(F.col("_first.value")), "duplicate")
        .otherwise("rejected")
    )
    decided = competing.withColumn("decision", decision).withColumn(
        "stored", F.coalesce(is_stored | F.col("_reason_before").isNotNull(), F.lit(False))
    )
    is_rejected = F.col("decision") == "rejected"
    is_conflict = F.col("reason").isNull() & F.col("_reason_before").isNull()
    return (
        decided.withColumn("detail", F.when(is_rejected, F.coalesce("detail", F.when(is_conflict, _conflict()))))
        .withColumn("reason", F.when(is_rejected, F.coalesce("_reason_before", "reason", F.lit("conflict"))))
        .drop("_old", "_candidate", "_first", "_keyless", "_reason_before", *_KEY)
    )


def _competing(parsed: DataFrame, stored: DataFrame, rejected: DataFrame) -> DataFrame:
    """Return the parsed lines, each with `_first`, the winner of its key."""
    # The caller decides whether it is broadcast.
    before = rejected.select(*LINE, F.coalesce("reason", F.lit("rejected before")).alias("_reason_before"))
    known = _numbered(parsed).join(before, list(LINE), "left")
    key = [F.col(name).alias(f"_key_{name}") for name in KEY]
    new = known.withColumn("_candidate", F.col("reason").isNull() & F.col("_reason_before").isNull()).select(
        "*", F.lit(False).alias("_old"), *key
    )
    given = {*LINE, "value", "_candidate", "_old", *_KEY}
    old = stored.select(
        *[F.lit(None).cast(f.dataType).alias(f.name) for f in new.schema.fields if f.name not in given],
        *LINE,
        "value",
        F.lit(True).alias("_candidate"),
        F.lit(True).alias("_old"),
        *key,
    )
    # Lines without a key do not compete: each has a window partition of its own.
    has_no_key = F.col("_key_device_id").isNull() | F.col("_key_sensor").isNull() | F.col("_key_event_time").isNull()
    keyless = F.when(has_no_key, F.xxhash64(*LINE))
    order = Window.partitionBy(*_KEY, "_keyless").orderBy(
        F.col("_candidate").desc(), F.col("_old").desc(), "arrived_at", *LINE
    )
    first = F.first(F.struct("_old", "value", *LINE)).over(order)
    return new.unionByName(old).withColumn("_keyless", keyless).withColumn("_first", first).where("NOT _old")


def _conflict() -> Column:
    """Return the detail of a line that has another value than the winner of its key."""
    finer = F.get_json_object("raw", "$.event_time").rlike(_FINER)
    return F.concat(
        F.lit("value "),
        F.col("value").cast("string"),
        F.lit(" where "),
        F.col("_first.value").cast("string"),
        F.lit(" is stored from "),
        F.col("_first.source_file"),
        F.when(finer, F.lit("; times are cut to microseconds: both are the same")).otherwise(""),
    )


def _numbered(parsed: DataFrame) -> DataFrame:
    """Add line_occurrence, the number of a line among the identical lines of its file."""
    same = Window.partitionBy("source_file", "line_hash").orderBy(F.lit(1))
    return parsed.withColumn("line_occurrence", F.row_number().over(same))
