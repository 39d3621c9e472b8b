"""Readable rows of the folder `fixtures` as DataFrames and Delta tables."""

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

FIXTURES = Path(__file__).parents[1] / "fixtures"


def rows(spark: SparkSession, name: str) -> DataFrame:
    """The rows of `fixtures/<name>.txt`: the first line holds names and types, empty cells are null."""
    head, *lines = (FIXTURES / f"{name}.txt").read_text("utf-8").splitlines()
    columns = [tuple(cell.split()) for cell in head.split("|")]
    values = [tuple(cell.strip() or None for cell in line.split("|")) for line in lines]
    text = spark.createDataFrame(values, ", ".join(f"{column} string" for column, _ in columns))
    return text.select(*[F.col(column).cast(kind).alias(column) for column, kind in columns])


def frame(spark: SparkSession, text: str) -> DataFrame:
    """Rows written in a test, in the same form."""
    head, *lines = [line.strip() for line in text.strip().splitlines()]
    columns = [tuple(cell.split()) for cell in head.split("|")]
    values = [tuple(cell.strip() or None for cell in line.split("|")) for line in lines]
    plain = spark.createDataFrame(values, ", ".join(f"{column} string" for column, _ in columns))
    return plain.select(*[F.col(column).cast(kind).alias(column) for column, kind in columns])
