"""Spark and Delta in the versions that the project names work together for longer than a short test."""

from pathlib import Path

import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession


@pytest.mark.slow
def test_thirty_commits_with_merge_and_delete_work_beyond_a_checkpoint_of_delta(
    spark: SparkSession, tmp_path: Path
) -> None:
    place = str(tmp_path / "table")
    spark.range(3).selectExpr("id", "0 AS n").write.format("delta").save(place)
    table = DeltaTable.forPath(spark, place)
    for commit in range(28):
        rows = spark.range(commit, commit + 3).selectExpr("id", f"{commit} AS n")
        if commit % 7:
            rows.where(f"id = {commit + 2}").write.format("delta").mode("append").save(place)
            continue
        # A merge costs several times an append, and the number of commits triggers a checkpoint.
        merge = table.alias("t").merge(rows.alias("s"), "t.id = s.id")
        merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()
    table.delete("id = 0")
    assert list((tmp_path / "table" / "_delta_log").glob("*.checkpoint*.parquet")), "Delta wrote a checkpoint"
    assert spark.read.format("delta").load(place).select("id").distinct().count() == 29
    assert DeltaTable.forPath(spark, place).history().count() == 30
