"""What would have to change for stored rows to equal computed ones."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.tables import Columns

OPERATION = "operation"
INSERT, UPDATE, DELETE = "insert", "update", "delete"

# Sums of floats differ in the last bits with the order in which rows come; nothing that is measured has 9 digits.
TOLERANCE = 1e-9

# Beyond this many numbers a comparison column by column is more code than the JVM compiles: compare arrays.
_WIDE = 40


def same_number(left: Column, right: Column) -> Column:
    """True when both are null, or equal but for the last bits: within 1e-9, relative for numbers beyond 1."""
    scale = F.greatest(F.abs(left), F.abs(right), F.lit(1.0))
    close = left.eqNullSafe(right) | (F.abs(left - right) <= scale * TOLERANCE)
    return F.coalesce(close, F.lit(False))


def _same(columns: Columns, left: str, right: str) -> Column:
    doubles = [name for name, kind in columns if kind.lower() == "double"]
    others = [name for name, kind in columns if kind.lower() != "double"]
    checks = [F.col(f"{left}.{n}").eqNullSafe(F.col(f"{right}.{n}")) for n in others]
    if len(doubles) > _WIDE:
        pairs = F.zip_with(
            F.array(*[F.col(f"{left}.{n}") for n in doubles]),
            F.array(*[F.col(f"{right}.{n}") for n in doubles]),
            same_number,
        )
        checks.append(F.forall(pairs, lambda equal: equal))
    else:
        checks.extend(same_number(F.col(f"{left}.{n}"), F.col(f"{right}.{n}")) for n in doubles)
    result = F.lit(True)
    for check in checks:
        result = result & check
    return result


def difference(stored: DataFrame, computed: DataFrame, columns: Columns, key: Sequence[str]) -> DataFrame:
    """One row per key that differs: the computed columns and `operation` (insert, update, delete).

    stored, computed: rows with the given columns; the key is unique and not null in each.
    A deleted row carries its stored values.
    """
    names = [name for name, _ in columns]
    values = [(name, kind) for name, kind in columns if name not in key]
    left = stored.select(*[F.col(k).alias(f"s_{k}") for k in key], F.struct(*names).alias("stored"))
    right = computed.select(*[F.col(k).alias(f"c_{k}") for k in key], F.struct(*names).alias("computed"))
    on = [F.col(f"s_{k}") == F.col(f"c_{k}") for k in key]
    joined = left.join(right, on, "full_outer")
    operation = (
        F.when(F.col("stored").isNull(), INSERT)
        .when(F.col("computed").isNull(), DELETE)
        .when(~_same(values, "stored", "computed"), UPDATE)
    )
    row = F.coalesce("computed", "stored")
    return (
        joined.select(row.alias("row"), operation.alias(OPERATION))
        .where(F.col(OPERATION).isNotNull())
        .select("row.*", OPERATION)
    )
