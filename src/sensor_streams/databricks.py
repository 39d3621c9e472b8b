"""The platform that runs the code."""

from pyspark.sql import SparkSession


def on_databricks(spark: SparkSession) -> bool:
    """Return True on a Databricks cluster."""
    return spark.conf.get("spark.databricks.clusterUsageTags.sparkVersion", None) is not None
