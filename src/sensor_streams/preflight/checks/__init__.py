"""Checks: functions of the collected facts. To add one, write a function with `@check` and a section in the docs."""

from sensor_streams.preflight.checks.registry import load_checks

load_checks(__name__)
