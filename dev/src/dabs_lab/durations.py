"""Durations in `local.yml` and options: `10 s`, `5 min`, `1 hour`, `2 days`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

_UNITS = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400}
_LONGEST = timedelta(days=36500)


def parse_duration(value: object) -> object:
    """Return a timedelta for text such as `10 s`; other types, except numbers, are returned unchanged.

    Raises ValueError, with examples, for any other text and for a number without a unit.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit: write {value} s, {value} min, {value} hours or {value} days")
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s*", value)
    unit = _UNITS.get(found.group(2)) or _UNITS.get(found.group(2) + "s") if found else None
    if found is None or unit is None:
        raise ValueError(f"{value!r} is not a duration: write 10 s, 5 min, 1 hour or 2 days")
    seconds = float(found.group(1)) * unit
    if not 0 < seconds <= _LONGEST.total_seconds() or seconds != int(seconds):
        raise ValueError(f"{value!r} is not between 1 second and 100 years in whole seconds")
    return timedelta(seconds=seconds)


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
