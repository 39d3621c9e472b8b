"""Try a feature function, cell by cell in the editor or as a script. Start it in the project's folder.

    .venv/bin/python examples/try_feature.py            # a few generated rows, Spark on this machine
    .venv-connect/bin/python examples/try_feature.py    # rows of a table in a workspace, with Databricks Connect

With Connect, SENSOR_STREAMS_CATALOG and SENSOR_STREAMS_SCHEMA name the schema of the table.
Nothing is written. See docs/editor.md.
"""

# %% Session: in the workspace if Databricks Connect is installed, else on this machine
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.features.device import device_features
from sensor_streams.features.sensor import sensor_features
from sensor_streams.fleet import load_fleet

DAYS = 2  # newest days of the table

try:
    from databricks.connect import DatabricksSession  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    DatabricksSession = None

spark: SparkSession
if DatabricksSession is None:
    from dabs_lab.local_spark import local_session

    spark = local_session("try-feature", Path(".local/log/try-feature.log"), cores=2)
else:
    spark = DatabricksSession.builder.getOrCreate()
# Windows are in UTC.
spark.conf.set("spark.sql.session.timeZone", "UTC")
fleet = load_fleet("sensors.yml")


# %% Rows
def workspace_rows() -> DataFrame:
    """Return the newest days of `sensor_features` in the schema that the environment names."""
    names = [os.environ.get(f"SENSOR_STREAMS_{part}", "") for part in ("CATALOG", "SCHEMA")]
    if not all(names):
        sys.exit("set SENSOR_STREAMS_CATALOG and SENSOR_STREAMS_SCHEMA to the schema of sensor_features")
    table = spark.table(".".join(f"`{name}`" for name in [*names, "sensor_features"]))
    newest = table.agg(F.max("window_date")).collect()[0][0]
    if newest is None:
        sys.exit(f"{'.'.join(names)}.sensor_features has no rows: run the streams first")
    return table.where(F.col("window_date") > F.date_sub(F.lit(newest), DAYS))


def generated_rows() -> DataFrame:
    """Return the features of one device over six hours; the values of its first sensor rise."""
    begin = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    kind = next(iter(fleet.device_types.values()))
    device = kind.devices[0].replace("*", "1").replace("?", "1")
    rows = [
        (device, sensor, begin + minute * 60, 5.0 + (minute / 120 if sensor == kind.sensors[0] else 0.0))
        for sensor in kind.sensors
        for minute in range(0, 360, 5)
    ]
    given = spark.createDataFrame(rows, "device_id string, sensor string, seconds bigint, value double")
    readings = given.select(
        "device_id",
        "sensor",
        F.timestamp_seconds("seconds").alias("event_time"),
        F.lit(None).cast("bigint").alias("sequence"),
        "value",
    )
    return sensor_features(readings, fleet)


short = generated_rows() if DatabricksSession is None else workspace_rows()
short.orderBy("device_id", "sensor", "window_start").show(8, truncate=False)

# %% Feature: change src/sensor_streams/features/device.py, restart the session, run this cell again
wide = device_features(short, fleet)
first = next(iter(fleet.sensors))
shown = [f"{first}_{statistic}" for statistic in ("mean", "deviation", "slope", "trend", "missing")]
wide.select("device_id", "window_start", "count", *shown).orderBy("device_id", "window_start").show(24, truncate=False)
