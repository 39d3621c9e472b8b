"""Databricks runtimes: their version keys, and the end of their support from `runtimes.yml`."""

import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import yaml

# 15.4.x-scala2.12, 18.x-scala2.13, 15.4.x-cpu-ml-scala2.12; not custom:…, not the extended support (esr) of old ones.
_KEY = re.compile(r"(?P<major>\d+)(\.(?P<minor>\d+))?\.x-(?P<variants>[a-z0-9.-]*)")


@dataclass(frozen=True)
class Runtime:
    """Runtime of a cluster: version as in the release notes (15.4, 18), and its variants such as `ml` and `gpu`."""

    version: str
    variants: tuple[str, ...]

    @property
    def number(self) -> tuple[int, int]:
        """Return the version as numbers, to compare."""
        major, _, minor = self.version.partition(".")
        return int(major), int(minor or 0)


def runtime_of(key: str) -> Runtime | None:
    """Return the runtime of a value of `spark_version`, or None for another form."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    minor = f".{match['minor']}" if match["minor"] else ""
    return Runtime(match["major"] + minor, tuple(match["variants"].split("-")))


def end_of_support(runtime: Runtime, today: date) -> str | None:
    """Return " since 2026-03-01", or " (not in the list …)" for a runtime out of support; None for all others."""
    ends, first_complete, read = _table()
    if "esr" in runtime.variants:
        return None
    if runtime.version in ends:
        return f" since {ends[runtime.version]}" if ends[runtime.version] < today else None
    return f" (not in the list of {read})" if runtime.number < Runtime(first_complete, ()).number else None


@cache
def _table() -> tuple[dict[str, date], str, date]:
    content = yaml.safe_load(Path(__file__).with_name("runtimes.yml").read_text("utf-8"))
    return content["end_of_support"], content["first_complete"], content["read"]
