"""Try a feature function, cell by cell in the editor or whole, in the project's folder.

    .venv/bin/python examples/try_feature.py            # a few rows made here, Spark on this machine
    .venv-connect/bin/python examples/try_feature.py    # rows of a workspace's table, by Databricks Connect

With Connect, SENSOR_STREAMS_CATALOG and SENSOR_STREAMS_SCHEMA say where the table is. Nothing is written.
See docs/editor.md.
"""

# %% The session: of the workspace where Databricks Connect is installed, else of this machine
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.features.device import device_features
from sensor_streams.features.sensor import sensor_features
from sensor_streams.fleet import load_fleet

DAYS = 2  # of the table, the newest ones

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
# Windows are cut in UTC, wherever this runs.
spark.conf.set("spark.sql.session.timeZone", "UTC")
fleet = load_fleet("sensors.yml")


# %% The rows
def of_the_workspace() -> DataFrame:
    """The newest days of `sensor_features` in the schema that the environment names."""
    names = [os.environ.get(f"SENSOR_STREAMS_{part}", "") for part in ("CATALOG", "SCHEMA")]
    if not all(names):
        sys.exit("set SENSOR_STREAMS_CATALOG and SENSOR_STREAMS_SCHEMA: where sensor_features is")
    table = spark.table(".".join(f"`{name}`" for name in [*names, "sensor_features"]))
    newest = table.agg(F.max("window_date")).collect()[0][0]
    if newest is None:
        sys.exit(f"{'.'.join(names)}.sensor_features has no rows yet: let the streams run first")
    return table.where(F.col("window_date") > F.date_sub(F.lit(newest), DAYS))


def made_here() -> DataFrame:
    """Six hours of one pump, a reading every five minutes: its vibration rises, the rest stays."""
    begin = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    level = {"vibration": 2.0, "temperature": 60.0, "pressure": 8.0, "power": 40.0}
    rows = [
        ("pump-01", sensor, begin + minute * 60, value + (minute / 120 if sensor == "vibration" else 0.0))
        for sensor, value in level.items()
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


short = made_here() if DatabricksSession is None else of_the_workspace()
short.orderBy("device_id", "sensor", "window_start").show(8, truncate=False)

# %% The feature: change src/sensor_streams/features/device.py, start the session anew, look again
wide = device_features(short, fleet)
first = next(iter(fleet.sensors))
shown = [f"{first}_{statistic}" for statistic in ("mean", "deviation", "slope", "trend", "missing")]
wide.select("device_id", "window_start", "count", *shown).orderBy("device_id", "window_start").show(24, truncate=False)
