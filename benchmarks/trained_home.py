"""A local home with two trained models, made without streams: simulated lines pass through the feature functions once.

Several measurements need models. This takes a quarter of the time that the streams would take.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks.simulated_home import ORIGIN, opened_home
from sensor_streams.features.device import device_features
from sensor_streams.features.sensor import sensor_features
from sensor_streams.inference.training import train
from sensor_streams_dev.local_home import LocalHome
from sensor_streams_dev.simulate import Simulation, simulate

_LINE = "device_id string, sensor string, event_time timestamp, value double"


@dataclass(frozen=True)
class History:
    """Simulated history that the models learn from: pumps, days, and the mean time between failures of a pump."""

    devices: int = 12
    days: int = 10
    mean_life: timedelta = timedelta(days=3)


def trained_home(folder: Path, history: History) -> tuple[LocalHome, DataFrame]:
    """Return a home with trained models and an empty landing folder, and the rows of `device_features` behind them.

    The tables of the home do not exist yet.
    """
    landing = folder / "landing"
    landing.mkdir(parents=True)
    home = opened_home(folder, landing)
    lines, failures = folder / "history", folder / "failures.jsonl"
    # Without wrong and repeated lines, the functions need no ingestion before them.
    simulation = Simulation(
        home.fleet,
        origin=ORIGIN,
        devices=history.devices,
        mean_life=history.mean_life,
        duplicates=0,
        conflicts=0,
        malformed=0,
    )
    simulate(simulation, lines, ORIGIN, ORIGIN + timedelta(days=history.days), failures=failures)
    spark = home.spark
    readings = spark.read.schema(_LINE).json(str(lines)).withColumn("sequence", F.lit(None).cast("bigint"))
    short = sensor_features(readings, home.fleet).localCheckpoint()
    rows = str(folder / "features")
    device_features(short, home.fleet).coalesce(1).write.parquet(rows)
    known = spark.read.schema("device_id string, failed_at timestamp").json(str(failures))
    features = spark.read.parquet(rows)
    train(features, known, home.fleet, registry=home.registry, data_version="benchmark")
    return home, features
