"""What the features share: windows of time, and tables in the form of their declaration."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.table_spec import Columns


def window_start(time: Column, seconds: int) -> Column:
    """The start of the window of `seconds` that a time lies in; windows are aligned to 1970-01-01 UTC."""
    return F.timestamp_seconds((F.floor(F.unix_seconds(time) / seconds) * seconds).cast("bigint"))


def hours_between(earlier: Column, later: Column) -> Column:
    """Hours from one time to another, a double."""
    return (F.unix_micros(later) - F.unix_micros(earlier)) / F.lit(3.6e9)


def in_form(rows: DataFrame, columns: Columns) -> DataFrame:
    """The rows with exactly the declared columns, in order, of the declared types."""
    return rows.select(*[F.col(name).cast(kind).alias(name) for name, kind in columns])
