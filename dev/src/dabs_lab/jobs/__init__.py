"""The Jobs service without a clock and without processes.

`job_spec` reads a job of a bundle; `JobMachine` decides what starts and ends when.
"""

from dabs_lab.jobs.assumptions import ASSUMED, Assumptions, Backoff, assumption_rows, assumptions_of
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
    "assumption_rows",
    "assumptions_of",
    "job_spec",
]
