"""Equality of features, and the part of a table that the engine hands to a function."""

from chispa import assert_df_equality
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Batch, Handles, Inputs
from sensor_streams.incremental.time_slots import TimeSlots
from sensor_streams.streams import BY_NAME


def same(found: DataFrame, expected: DataFrame) -> None:
    """Equal but for order and the last bits."""

    def rounded(rows: DataFrame) -> DataFrame:
        # As many digits as `same_number` compares: ten in all, whatever the number's size.
        return rows.select(
            *[
                F.expr(f"try_cast(format_string('%.9e', `{c}`) AS double)").alias(c) if t == "double" else F.col(c)
                for c, t in rows.dtypes
            ]
        )

    assert_df_equality(rounded(found), rounded(expected), ignore_row_order=True, ignore_nullable=True)


def same_in_part_as_whole(stream: str, rows: DataFrame, changes: DataFrame, fleet: Fleet) -> None:
    """Computed from what the engine reads for these changes, the touched rows are those of the whole."""
    declared = BY_NAME[stream]
    assert isinstance(declared.scope, TimeSlots)
    assert declared.compute is not None
    source = declared.sources[0]
    region = declared.scope.touched(changes, Batch(declared, fleet, Handles(rows.sparkSession)))
    assert region is not None
    needed = region.source(source, rows)
    part = region.sink(declared.compute(Inputs({source: needed}, rows, fleet))).localCheckpoint()
    assert 0 < needed.count() < rows.count(), "the changes leave out some rows"
    assert not part.isEmpty()
    same(part, region.sink(declared.compute(Inputs({source: rows}, rows, fleet))))
