"""The HTML report: one file that works offline."""

from dabs_lab.lab.report.page import write_report

__all__ = ["write_report"]
