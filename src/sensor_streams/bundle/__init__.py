"""Databricks Asset Bundles, read as the CLI reads them: `load_bundle` is the way in."""

from sensor_streams.bundle.problem import BundleError, Position, Problem
from sensor_streams.bundle.reader import Bundle, load_bundle

__all__ = ["Bundle", "BundleError", "Position", "Problem", "load_bundle"]
