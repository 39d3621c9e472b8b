"""Databricks Asset Bundles, read as the CLI reads them: `load_bundle` is the way in."""

from dabs_lab.bundle.problems import BundleError, Position, Problem
from dabs_lab.bundle.reader import Bundle, load_bundle

__all__ = ["Bundle", "BundleError", "Position", "Problem", "load_bundle"]
