"""Catalog and model registry of a task, by its settings."""

from pathlib import Path

from pyspark.sql import SparkSession

from sensor_streams.catalog_file import CatalogFile
from sensor_streams.inference.registry import Registry
from sensor_streams.settings import Settings
from sensor_streams.tables import Catalog


def catalog_of(spark: SparkSession, settings: Settings) -> Catalog:
    """Return the catalog that the settings describe."""
    entries = CatalogFile(Path(settings.catalog_file)) if settings.catalog_file else None
    return Catalog(spark, settings.catalog, settings.schema_name, settings.tables, entries)


def registry_of(settings: Settings) -> Registry:
    """Return the model registry that the settings describe."""
    return Registry(
        tracking_uri=settings.tracking_uri,
        registry_uri=settings.registry_uri,
        prefix=settings.model_prefix,
        experiment=settings.experiment,
        artifacts=settings.artifacts,
    )
