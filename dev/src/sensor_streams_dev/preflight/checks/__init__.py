"""Checks that need a workspace. Importing this package registers them."""

from sensor_streams.preflight.checks.registry import CHECKS as CHECKS
from sensor_streams.preflight.checks.registry import load_checks

load_checks(__name__)
