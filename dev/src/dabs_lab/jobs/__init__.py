"""Runs a job of the bundle as Databricks' Jobs service would; this part decides, and starts nothing.

`job_spec` reads a job of the bundle, `JobMachine` says what is to be done when.
"""

from dabs_lab.jobs.assumptions import ASSUMED, Assumptions, Backoff, assumptions_of, listed
from dabs_lab.jobs.job_spec import JobSpec
from dabs_lab.jobs.spec_builder import job_spec
from dabs_lab.jobs.state_machine import JobMachine
from dabs_lab.jobs.supported_settings import SETTINGS, Effect

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
