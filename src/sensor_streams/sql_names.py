"""SQL statements on tables, with every name checked or quoted."""

from collections.abc import Sequence

from pyspark.sql import SparkSession

from sensor_streams.errors import TableError
from sensor_streams.retention import RETENTION
from sensor_streams.settings import NAME, catalog_name
from sensor_streams.table_spec import PROPERTIES, Columns, TableSpec


def checked(name: str) -> str:
    """Return a plain name unchanged. Raises TableError for another one."""
    if not NAME.fullmatch(name):
        raise TableError(f"{name!r} is not a plain name: letters, digits and _ only, a letter first")
    return name


def quoted(name: str) -> str:
    """Quote any name for SQL."""
    return "`" + name.replace("`", "``") + "`"


def sql_name(full_name: str) -> str:
    """Return `catalog.schema.table` for SQL in messages: parts that are not plain names are quoted."""
    return ".".join(part if NAME.fullmatch(part) else quoted(part) for part in full_name.split("."))


def quoted_catalog_name(name: str) -> str:
    """Quote the name of a catalog or schema. Raises TableError for a name that Unity Catalog refuses."""
    try:
        return quoted(catalog_name(name))
    except ValueError as error:
        raise TableError(str(error)) from None


def create_statement(full_name: str, spec: TableSpec, location: str | None) -> str:
    """Return the statement that creates a table; without a location the catalog manages its data."""
    columns = ", ".join(f"`{checked(name)}` {kind}" for name, kind in spec.columns)
    parts = [f"CREATE TABLE {full_name} ({columns}) USING delta"]
    if spec.partition:
        parts.append(f"PARTITIONED BY (`{checked(spec.partition)}`)")
    if location is not None:
        parts.append(f"LOCATION {sql_text(location)}")
    parts.append("TBLPROPERTIES (" + ", ".join(f"'{k}' = '{v}'" for k, v in {**PROPERTIES, **RETENTION}.items()) + ")")
    return " ".join(parts)


def sql_text(value: str) -> str:
    """Return a string as a SQL literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def view_statement(full_name: str, tables: Sequence[str]) -> str:
    """Return the statement that creates a view of all rows of some tables, by full names."""
    return f"CREATE OR REPLACE VIEW {full_name} AS {view_text(tables)}"


def view_text(tables: Sequence[str]) -> str:
    """Return the query of such a view."""
    return " UNION ALL ".join(f"SELECT * FROM {table}" for table in tables)


def create_schema(spark: SparkSession, catalog: str, schema: str) -> None:
    """Create a missing schema; for an existing one the privilege to create schemas is not needed."""
    name = f"{quoted_catalog_name(catalog)}.{quoted_catalog_name(schema)}"
    if not spark.catalog.databaseExists(name):
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {name}")


def printed_types(spark: SparkSession, columns: Columns) -> dict[str, str]:
    """Return the columns' types as Spark prints them: `bigint` for LONG, and so on."""
    schema = ", ".join(f"`{checked(name)}` {kind}" for name, kind in columns)
    return {f.name: f.dataType.simpleString() for f in spark.createDataFrame([], schema).schema.fields}
