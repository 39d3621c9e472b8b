"""Two tasks of a wheel: load stock as Parquet, and sum it by shop."""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F


def _arguments() -> dict[str, str]:
    return dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:])


def load() -> None:
    """Write three rows; the first attempt fails before it writes."""
    given = _arguments()
    if given["attempt"] == "1":
        raise ConnectionError("the till did not answer")
    rows = [("north", 3), ("north", 4), ("south", 5)]
    spark = SparkSession.builder.getOrCreate()
    spark.createDataFrame(rows, "shop string, items int").write.mode("overwrite").parquet(f"{given['out']}/stock")


def total() -> None:
    """Sum the items by shop."""
    out = _arguments()["out"]
    spark = SparkSession.builder.getOrCreate()
    stock = spark.read.parquet(f"{out}/stock").groupBy("shop").agg(F.sum("items").alias("items"))
    stock.write.mode("overwrite").parquet(f"{out}/total")
