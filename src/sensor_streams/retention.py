"""Retention of replaced files and of the log, long enough for the slowest stream."""

import re
from collections.abc import Mapping
from datetime import timedelta

FILES = "delta.deletedFileRetentionDuration"
LOG = "delta.logRetentionDuration"
# Predictive optimization vacuums managed tables without regard to readers. A stream that was down for this long still
# finds the changes that it has to read. Delta's default for files is 7 days.
LEAST = timedelta(days=30)
RETENTION = {FILES: "interval 30 days", LOG: "interval 30 days"}

_DEFAULTS = {FILES: timedelta(days=7), LOG: timedelta(days=30)}
_UNITS = ("microsecond", "millisecond", "second", "minute", "hour", "day", "week")
_PART = re.compile(rf"(\d+)\s*({'|'.join(_UNITS)})s?(?:\s+|$)", re.IGNORECASE)


def retention(properties: Mapping[str, str], name: str) -> timedelta | None:
    """Return how long a table keeps files or log by its properties; None for a text that only Delta can read."""
    text = properties.get(name)
    if text is None:
        return _DEFAULTS[name]
    rest = re.sub(r"^\s*interval\s+", "", text, flags=re.IGNORECASE).strip()
    found, at = timedelta(0), 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None:
            return None
        found += timedelta(**{f"{part[2].lower()}s": int(part[1])})
        at = part.end()
    return found if rest else None


def missing_retention(properties: Mapping[str, str]) -> dict[str, str]:
    """Return the properties to set so that the slowest stream finds its changes; empty if nothing is missing.

    A longer value stays, and so does a text that cannot be read. The log is kept as long as the files: Delta needs it
    to know which files were replaced.
    """
    found: dict[str, str] = {}
    files, log = retention(properties, FILES), retention(properties, LOG)
    if files is not None and (files < LEAST or FILES not in properties):
        found[FILES] = RETENTION[FILES]
    wanted = LEAST if files is None else max(files, LEAST)
    if log is not None and (log < wanted or LOG not in properties):
        found[LOG] = properties[FILES] if wanted > LEAST else RETENTION[LOG]
    return found
