"""Time windows, and the selection of a table's declared columns."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.table_spec import Columns


def window_start(time: Column, seconds: int) -> Column:
    """Return the start of the window of `seconds` that contains a time; windows are aligned to 1970-01-01 UTC."""
    return F.timestamp_seconds((F.floor(F.unix_seconds(time) / seconds) * seconds).cast("bigint"))


def hours_between(earlier: Column, later: Column) -> Column:
    """Return the hours between two times (double)."""
    return (F.unix_micros(later) - F.unix_micros(earlier)) / F.lit(3.6e9)


def select_declared(rows: DataFrame, columns: Columns) -> DataFrame:
    """Return the rows with the declared columns only, in their order and types."""
    return rows.select(*[F.col(name).cast(kind).alias(name) for name, kind in columns])
