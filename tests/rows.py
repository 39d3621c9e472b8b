"""Rows of text, from the folder `fixtures` or from a test, as DataFrames."""

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

FIXTURES = Path(__file__).parents[1] / "fixtures"


def rows(spark: SparkSession, name: str) -> DataFrame:
    """Return the rows of `fixtures/<name>.txt`."""
    return frame(spark, (FIXTURES / f"{name}.txt").read_text("utf-8"))


def frame(spark: SparkSession, text: str) -> DataFrame:
    """Return the rows of a text: names and types in the first line, cells between `|`, empty cells are null."""
    head, *lines = [line.strip() for line in text.strip().splitlines()]
    columns = [tuple(cell.split()) for cell in head.split("|")]
    values = [tuple(cell.strip() or None for cell in line.split("|")) for line in lines]
    plain = spark.createDataFrame(values, ", ".join(f"{column} string" for column, _ in columns))
    return plain.select(*[F.col(column).cast(kind).alias(column) for column, kind in columns])
