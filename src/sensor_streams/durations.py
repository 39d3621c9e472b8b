"""Durations and times as text: `10 s`, `5 min`, `1 hour`, `30 days`; `2026-01-31T12:00:00Z`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator

from sensor_streams.errors import ConfigurationError

_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("week", "weeks"), 7 * 86400),
}
_LONGEST = 36500 * 86400


def parse_duration(value: object) -> object:
    """Return a timedelta for text such as `10 s`, in whole seconds; return other types unchanged.

    Raises ValueError for a number without a unit and for text that is not a duration.
    """
    if isinstance(value, bool) or value is None or isinstance(value, timedelta):
        return value
    if isinstance(value, int | float):
        raise ValueError(f"{value} has no unit: write {value} s, {value} min, {value} hours or {value} days")
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", value)
        if not found or found.group(2) not in _SECONDS:
            raise ValueError(f"{value!r} is not a duration: write 10 s, 5 min, 1 hour, 30 days or 2 weeks")
        seconds = float(found.group(1)) * _SECONDS[found.group(2)]
        # A look-back of a thousand longer windows would be out of Spark's range of timestamps.
        if seconds > _LONGEST:
            raise ValueError(f"{value!r} is longer than 100 years: write a shorter one")
        if seconds != int(seconds) or seconds <= 0:
            raise ValueError(f"{value!r} must be whole seconds, at least one")
        return timedelta(seconds=seconds)
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


def parse_time(text: str, option: str) -> datetime:
    """Parse the ISO 8601 time of an option; without a zone it is UTC. Raises ConfigurationError naming the option."""
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"{option} {text!r} is not a time: write 2026-01-31 or 2026-01-31T12:00:00Z") from None
