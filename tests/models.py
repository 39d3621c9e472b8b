"""Models for tests."""

from pathlib import Path

import mlflow
import numpy as np
from pyspark.sql import SparkSession

from sensor_streams.inference.models import AnomalyModel, NormalState
from sensor_streams.inference.registry import LoadedModel, silence_mlflow


def anomaly_model(spark: SparkSession, folder: Path, number: str, *types: str, scale: float = 1.0) -> LoadedModel:
    """Return a model that knows these device types."""
    one = np.ones(1)
    state = NormalState(["power_mean"], ["power"], one, one * scale, np.ones((1, 1)), one, 1.0, 1.0)
    silence_mlflow()
    mlflow.pyfunc.save_model(
        str(folder / number), python_model=AnomalyModel(dict.fromkeys(types, state)), pip_requirements=[]
    )
    return LoadedModel.of_folder(spark, folder / number, "anomaly", number, ("device_type", "power_mean"))
