"""Reader of Databricks Asset Bundles that agrees with the CLI. Start with `load_bundle`."""

from dabs_lab.bundle.bundle_files import target_sections
from dabs_lab.bundle.problems import BundleError, Position, Problem
from dabs_lab.bundle.reader import Bundle, load_bundle

__all__ = ["Bundle", "BundleError", "Position", "Problem", "load_bundle", "target_sections"]
