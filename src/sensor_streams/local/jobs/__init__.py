"""Runs a job of the bundle as Databricks' Jobs service would; this part decides, and starts nothing.

`job_spec` reads a job of the bundle, `JobMachine` says what is to be done when.
"""

from sensor_streams.local.jobs.assumptions import ASSUMED, Assumptions, Backoff, assumptions_of, listed
from sensor_streams.local.jobs.build import job_spec
from sensor_streams.local.jobs.machine import JobMachine
from sensor_streams.local.jobs.model import JobSpec
from sensor_streams.local.jobs.settings import SETTINGS, Effect

__all__ = [
    "ASSUMED",
    "SETTINGS",
    "Assumptions",
    "Backoff",
    "Effect",
    "JobMachine",
    "JobSpec",
    "assumptions_of",
    "job_spec",
    "listed",
]
