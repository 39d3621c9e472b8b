"""Differences between stored and computed rows, as rows to insert, update or delete."""

import re
from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sensor_streams.table_spec import Columns

OPERATION = "operation"
INSERT, UPDATE, DELETE = "insert", "update", "delete"

# The last bits of a sum of floats depend on the order of the rows. No sensor is exact to 9 digits.
TOLERANCE = 1e-9
# Error of such a sum relative to its largest numbers. Measured: 1e-14 for 20,000 readings.
SUM_ERROR = 1e-12

# column → SQL on a row `r`: size of the numbers that were subtracted to get the column, in its unit.
Magnitudes = Mapping[str, str]

# With more double columns than this, compare arrays: column by column, Spark generates more code than the JVM compiles.
_WIDE = 40


def same_number(left: str, right: str, magnitude: str = "0D") -> str:
    """Return SQL that is true when two numbers are both null, or differ by at most 1e-9 of the greater one.

    The result of a subtraction (a deviation, a slope) is only as exact as its operands. So numbers are equal too when
    they differ by at most 1e-12 of `magnitude`, the size of the operands. NaN and infinity equal only themselves.
    """
    distance, infinite = f"abs({left} - {right})", "double('infinity')"
    # NaN counts as greater than infinity.
    by_size = f"{distance} <= greatest(abs({left}), abs({right})) * {TOLERANCE}D"
    by_noise = f"{magnitude} < {infinite} AND {distance} <= {magnitude} * {SUM_ERROR}D"
    return f"coalesce(({left} <=> {right}) OR ({distance} < {infinite} AND ({by_size} OR ({by_noise}))), false)"


def _same(columns: Columns, magnitudes: Magnitudes) -> str:
    """Return SQL that is true when the structs `stored` and `computed` are equal in all columns."""
    doubles = [name for name, kind in columns if kind.lower() == "double"]
    checks = [f"stored.`{n}` <=> computed.`{n}`" for n, kind in columns if kind.lower() != "double"]
    if len(doubles) > _WIDE:
        checks.append(_same_arrays(doubles, magnitudes))
    else:
        checks += [same_number(f"stored.`{n}`", f"computed.`{n}`", _magnitude_sql(magnitudes.get(n))) for n in doubles]
    return " AND ".join(checks) or "true"


def _magnitude_sql(magnitude: str | None) -> str:
    # Use the computed row only: if the columns of the magnitude differ, the rows differ anyway.
    if magnitude is None:
        return "0D"
    of_computed = re.sub(r"\br\.", "computed.", magnitude)
    return f"coalesce({of_computed}, 0D)"


def _same_arrays(doubles: Sequence[str], magnitudes: Magnitudes) -> str:
    """Return the SQL of `_same` for many columns as arrays: first without, then with magnitudes.

    Columns with the same magnitude share arrays, so that it is computed once.
    """
    groups: dict[str | None, list[str]] = {}
    for name in doubles:
        groups.setdefault(magnitudes.get(name), []).append(name)

    def side(struct: str, names: Sequence[str]) -> str:
        return f"array({', '.join(f'{struct}.`{n}`' for n in names)})"

    def all_same(left: str, right: str, magnitude: str) -> str:
        equal = same_number("p.l", "p.r", magnitude)
        return f"forall(zip_with({left}, {right}, (a, b) -> struct(a AS l, b AS r)), p -> {equal})"

    structs = [
        f"struct({side('stored', names)} AS l, {side('computed', names)} AS r, {_magnitude_sql(magnitude)} AS m)"
        for magnitude, names in groups.items()
    ]
    by_size = all_same(side("stored", doubles), side("computed", doubles), "0D")
    return f"({by_size} OR forall(array({', '.join(structs)}), g -> {all_same('g.l', 'g.r', 'g.m')}))"


def difference(
    stored: DataFrame, computed: DataFrame, columns: Columns, key: Sequence[str], magnitudes: Magnitudes | None = None
) -> DataFrame:
    """Return one row per key that differs: the computed columns and `operation` (insert, update, delete).

    stored, computed: rows with the given columns; the key is unique and not null in each. magnitudes: of columns that
    are differences of larger numbers, see `same_number`. A row to delete has its stored values.
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
        .when(~F.expr(_same(values, magnitudes or {})), UPDATE)
    )
    row = F.coalesce("computed", "stored")
    return (
        joined.select(row.alias("row"), operation.alias(OPERATION))
        .where(F.col(OPERATION).isNotNull())
        .select("row.*", OPERATION)
    )
