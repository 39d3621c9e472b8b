"""Tables read through a SQL warehouse; here Spark answers the statements."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dev.tests.preflight.double import TOKEN, Double, answer, refusal
from sensor_streams.preflight.facts import Column, Nothing, TableFacts, Unknown
from sensor_streams_dev.preflight.warehouse import Warehouse, warehouse

STATEMENTS = "/api/2.0/sql/statements"


def _text(value: Any) -> str | None:
    """Return a value as the statement API writes it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, list | dict):
        return json.dumps(value)
    return None if value is None else str(value)


def _query(spark: SparkSession, statement: str) -> DataFrame:
    # Open-source Spark does not accept this subquery.
    if found := re.fullmatch(r"SELECT min\(version\) AS version FROM \((.*)\)", statement):
        return spark.sql(found[1]).agg(F.min("version").alias("version"))
    return spark.sql(statement)


def by_spark(spark: SparkSession, statements: list[str]) -> Callable[[Any], Any]:
    """Return a function that answers the statement API with Spark."""

    def run(body: Any) -> Any:
        assert body["warehouse_id"] == "w1"
        statements.append(body["statement"])
        try:
            rows = _query(spark, body["statement"])
            found = [[_text(value) for value in row] for row in rows.collect()]
        except PySparkException as error:
            return {"status": {"state": "FAILED", "error": {"message": str(error)}}}
        schema = {"columns": [{"name": name} for name in rows.columns]}
        return {
            "status": {"state": "SUCCEEDED"},
            "manifest": {"schema": schema, "truncated": False},
            "result": {"data_array": found} if found else {},
        }

    return run


@pytest.fixture
def reader(double: Double) -> Warehouse:
    found = warehouse("w1")
    assert isinstance(found, Warehouse)
    return found


@pytest.fixture(scope="module")
def place(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A table with three commits, a partition, a constraint and a change data feed, in a folder with odd characters."""
    place = str(tmp_path_factory.mktemp("ware`house ü") / "t")
    name = f"delta.`{place.replace('`', '``')}`"
    spark.sql(
        f"CREATE TABLE {name} (device_id STRING, value DOUBLE, day DATE) USING delta PARTITIONED BY (day) "
        "TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"
    )
    spark.sql(f"ALTER TABLE {name} ADD CONSTRAINT positive CHECK (value > 0)")
    spark.sql(f"INSERT INTO {name} VALUES ('a', 1.0, DATE '2026-01-01')")
    return place


def test_a_table_is_read(spark: SparkSession, double: Double, reader: Warehouse, place: str) -> None:
    statements: list[str] = []
    double.posts[STATEMENTS] = by_spark(spark, statements)
    table = reader.table_at(place)
    assert isinstance(table, TableFacts), table
    (detail,) = spark.sql(f"DESCRIBE DETAIL delta.`{place.replace('`', '``')}`").collect()
    assert (table.table_id, table.location) == (detail["id"], detail["location"])
    assert table.columns == [Column("device_id", "string"), Column("value", "double"), Column("day", "date")]
    assert table.partitions == ["day"]
    assert table.constraints == {"positive": "value > 0"}
    assert table.properties["delta.enableChangeDataFeed"] == "true"
    assert (table.version, table.earliest) == (2, 0)
    assert [commit.operation for commit in table.history] == ["WRITE", "ADD CONSTRAINT", "CREATE TABLE"]
    assert abs(table.history[0].at - datetime.now(UTC).timestamp()) < 600
    assert all(re.match(r"DESCRIBE |SELECT min\(version\)", statement) for statement in statements)


def test_a_path_without_a_table_is_nothing(
    spark: SparkSession, double: Double, reader: Warehouse, tmp_path: Path
) -> None:
    double.posts[STATEMENTS] = by_spark(spark, [])
    assert reader.table_at(str(tmp_path)) == Nothing(str(tmp_path), 0)
    assert reader.table_named("spark_catalog.default.nobody") == Nothing("spark_catalog.default.nobody", 0)


def test_a_name_cannot_become_a_statement(spark: SparkSession, double: Double, reader: Warehouse) -> None:
    statements: list[str] = []
    double.posts[STATEMENTS] = by_spark(spark, statements)
    reader.table_named("a.b.c`; DROP TABLE x; --")
    assert statements == ["DESCRIBE DETAIL `a`.`b`.`c``; DROP TABLE x; --`"]


@pytest.mark.parametrize(
    "response",
    [
        {},
        {"status": 5},
        {"status": {"state": "FAILED", "error": {"message": "[PERMISSION_DENIED] no"}}},
        {"status": {"state": "CANCELED"}},
        {"status": {"state": "PENDING"}},
        {"status": {"state": "SUCCEEDED"}},
        {"status": {"state": "SUCCEEDED"}, "manifest": {"schema": {"columns": []}}, "result": {}},
        {"status": {"state": "SUCCEEDED"}, "manifest": {"truncated": True}, "result": {}},
        {
            "status": {"state": "SUCCEEDED"},
            "manifest": {"schema": {"columns": [{"name": "format"}]}},
            "result": {"data_array": [["parquet"]]},
        },
        {
            "status": {"state": "SUCCEEDED"},
            "manifest": {"schema": {"columns": [{"name": "format"}]}},
            "result": {"data_array": [["delta", "more"]]},
        },
        ["no"],
    ],
)
def test_a_faulty_answer_is_unknown(double: Double, reader: Warehouse, response: object) -> None:
    double.posts[STATEMENTS] = lambda _: response
    found = reader.table_at("s3://bucket/t")
    assert isinstance(found, Unknown)
    assert found.because


def test_a_refusal_is_unknown_and_reveals_no_secret(double: Double, reader: Warehouse) -> None:
    for fault in (
        lambda _: refusal(404, "RESOURCE_DOES_NOT_EXIST", f"no warehouse for {TOKEN}"),
        lambda _: refusal(403, "PERMISSION_DENIED", f"{TOKEN} may not"),
        lambda _: answer("no"),
    ):
        double.faults[STATEMENTS] = fault
        found = reader.table_at("s3://bucket/t")
        assert isinstance(found, Unknown)
        assert TOKEN not in found.because
