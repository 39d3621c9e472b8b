"""Compare features, and compute them from the part of a table that the engine reads."""

from chispa import assert_df_equality
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Batch, Handles, Inputs
from sensor_streams.incremental.time_slots import TimeSlots
from sensor_streams.streams import BY_NAME


def same(found: DataFrame, expected: DataFrame) -> None:
    """Assert that rows are equal, except for their order and the last bits."""

    def rounded(rows: DataFrame) -> DataFrame:
        # Ten digits, as `same_number` compares.
        return rows.select(
            *[
                F.expr(f"try_cast(format_string('%.9e', `{c}`) AS double)").alias(c) if t == "double" else F.col(c)
                for c, t in rows.dtypes
            ]
        )

    assert_df_equality(rounded(found), rounded(expected), ignore_row_order=True, ignore_nullable=True)


def same_in_part_as_whole(stream: str, rows: DataFrame, changes: DataFrame, fleet: Fleet) -> None:
    """Assert that rows computed from the part that the engine reads for the changes equal those from the whole."""
    declared = BY_NAME[stream]
    assert isinstance(declared.scope, TimeSlots)
    assert declared.compute is not None
    source = declared.sources[0]
    region = declared.scope.touched(changes, Batch(declared, fleet, Handles(rows.sparkSession)))
    assert region is not None
    needed = region.source(source, rows)
    part = region.sink(declared.compute(Inputs({source: needed}, rows, fleet))).localCheckpoint()
    assert 0 < needed.count() < rows.count(), "the engine reads a part of the rows"
    assert not part.isEmpty()
    same(part, region.sink(declared.compute(Inputs({source: rows}, rows, fleet))))
