"""Next fire time of a Quartz expression, the format of a Databricks job's schedule.

Maintained Python libraries read Unix cron only (five fields, Sunday is 0, no `?`) or support UTC only. The rules are
those of `CronExpression` of Quartz 2.5; the tests contain its results. One rule differs: for a W day that moves from
Sunday to Monday, Quartz 2.5 returns only the first time of the day, against its own documentation.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dabs_lab.errors import ConfigurationError

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = ("seconds", "minutes", "hours", "day of month", "month", "day of week", "year")
_LOWEST = (0, 0, 0, 1, 1, 1, 1970)
_HIGHEST = (59, 59, 23, 31, 12, 7, 2199)
# The largest step of each field, where Quartz has one.
_STEPS = (59, 59, 23, 31, 12, 7, 229)
_NAMES: tuple[tuple[str, ...], ...] = ((), (), (), (), _MONTHS, _DAYS, ())
_DAY, _WEEKDAY, _YEAR = 3, 5, 6
_PART = re.compile(r"(\*|[A-Z]{3}|\d+)?(?:-([A-Z]{3}|\d+))?(?:/(\d+))?")
_LAST_DAY = re.compile(r"L(?:-(\d+))?(W)?")


class QuartzError(ConfigurationError):
    """An invalid expression; the message names the field."""


@dataclass(frozen=True)
class Quartz:
    """A parsed expression: sorted values of each field, and rules for days."""

    text: str
    seconds: tuple[int, ...] = field(repr=False)
    minutes: tuple[int, ...] = field(repr=False)
    hours: tuple[int, ...] = field(repr=False)
    months: frozenset[int] = field(repr=False)
    years: frozenset[int] = field(repr=False)
    # Days of the month; None if days of the week are given.
    days: frozenset[int] | None = field(repr=False)
    # Days before the last day of the month (0 is the last); days that move to the nearest working day (W).
    from_last: frozenset[int] = field(repr=False)
    nearest: frozenset[int] = field(repr=False)
    nearest_from_last: frozenset[int] = field(repr=False)
    # Days of the week, 1 is Sunday; which one of the month: 0 every, -1 the last.
    weekdays: frozenset[int] = field(repr=False)
    which: int = field(repr=False)

    def next_after(self, moment: datetime, zone: ZoneInfo) -> datetime | None:
        """Return the first fire time after a moment with a time zone, in UTC; None if it never fires again.

        As in Quartz, a local time skipped by daylight saving does not fire on that day. Of a local time that occurs
        twice, the later one fires.
        """
        start = (moment.astimezone(zone) + timedelta(seconds=1)).replace(microsecond=0, tzinfo=None)
        for day in self._days_from(start.date()):
            for wall in self._times(day, start):
                # fold=1 is the later of two equal local times.
                at = wall.replace(tzinfo=zone, fold=1)
                fires = at.astimezone(ZoneInfo("UTC"))
                if fires.astimezone(zone).replace(tzinfo=None) == wall and fires > moment:
                    return fires
        return None

    def _days_from(self, first: date) -> Iterator[date]:
        year, month, least = first.year, first.month, first.day
        while year <= max(self.years):
            if year in self.years and month in self.months:
                yield from (date(year, month, day) for day in sorted(self._of_month(year, month)) if day >= least)
            least = 1
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)

    def _of_month(self, year: int, month: int) -> set[int]:
        length = calendar.monthrange(year, month)[1]
        if self.days is None:
            found = [d for d in range(1, length + 1) if date(year, month, d).isoweekday() % 7 + 1 in self.weekdays]
            if self.which == 0:
                return set(found)
            return set(found[-1:] if self.which < 0 else found[self.which - 1 : self.which])
        plain = {day for day in self.days if day <= length} | {length - back for back in self.from_last}
        moved = {day for day in self.nearest if day <= length} | {length - back for back in self.nearest_from_last}
        return {day for day in plain if day > 0} | {_working_day(year, month, day, length) for day in moved if day > 0}

    def _times(self, day: date, start: datetime) -> Iterator[datetime]:
        least = start.time() if day == start.date() else time()
        for hour in self.hours:
            for minute in self.minutes if hour >= least.hour else ():
                for second in self.seconds:
                    if time(hour, minute, second) >= least:
                        yield datetime.combine(day, time(hour, minute, second))


def parse_quartz(text: str) -> Quartz:
    """Parse an expression of six or seven fields. Raises QuartzError if it is invalid."""
    fields = text.upper().split()
    if len(fields) not in (6, 7):
        raise QuartzError(f"{text!r} has {len(fields)} fields: write six or seven, seconds first")
    day, weekday = fields[_DAY], fields[_WEEKDAY]
    if (day == "?") == (weekday == "?"):
        raise QuartzError(f"{text!r}: write ? either for the day of the month or for the day of the week")
    values = [
        sorted(_values(text, at, fields[at] if at < len(fields) else "*"))
        for at in range(_YEAR + 1)
        if at not in (_DAY, _WEEKDAY)
    ]
    seconds, minutes, hours, months, years = values
    days, from_last, nearest, nearest_from_last = _month_days(text, day)
    weekdays, which = _week_days(text, weekday)
    return Quartz(
        text,
        tuple(seconds),
        tuple(minutes),
        tuple(hours),
        frozenset(months),
        frozenset(years),
        None if day == "?" else days,
        from_last,
        nearest,
        nearest_from_last,
        weekdays,
        which,
    )


def _month_days(text: str, field: str) -> tuple[frozenset[int], frozenset[int], frozenset[int], frozenset[int]]:
    days: set[int] = set()
    from_last: set[int] = set()
    nearest: set[int] = set()
    nearest_from_last: set[int] = set()
    for part in () if field == "?" else field.split(","):
        if last := _LAST_DAY.fullmatch(part):
            back = int(last[1] or 0)
            if back > 30:
                raise _wrong(text, _DAY, part, "L-0 to L-30")
            (nearest_from_last if last[2] else from_last).add(back)
        elif part.endswith("W") and part[:-1].isdecimal():
            nearest.add(_number(text, _DAY, part[:-1]))
        else:
            days |= _values(text, _DAY, part)
    return frozenset(days), frozenset(from_last), frozenset(nearest), frozenset(nearest_from_last)


def _week_days(text: str, field: str) -> tuple[frozenset[int], int]:
    """Return days of the week, and which one of the month: 0 every, 1 to 5, -1 the last."""
    if field == "?":
        return frozenset(), 0
    if field == "L":
        # L alone means Saturday.
        return frozenset({7}), 0
    if "#" in field:
        day, _, which = field.partition("#")
        if which not in ("1", "2", "3", "4", "5"):
            raise _wrong(text, _WEEKDAY, field, "a day, # and a number from 1 to 5")
        return frozenset({_number(text, _WEEKDAY, day)}), int(which)
    if field.endswith("L"):
        return frozenset({_number(text, _WEEKDAY, field[:-1])}), -1
    return frozenset(_values(text, _WEEKDAY, field)), 0


def _values(text: str, at: int, field: str) -> set[int]:
    """Return the values of a field of lists, ranges and steps."""
    lowest, highest = _LOWEST[at], _HIGHEST[at]
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if not match or not part or match[0].startswith("-") or (match[1] == "*" and match[2]):
            raise _wrong(text, at, part, "a number, a name, *, a range, or one of these with /step")
        step = int(match[3] or 1)
        if not 1 <= step <= _STEPS[at]:
            raise _wrong(text, at, part, f"a step of 1 to {_STEPS[at]}")
        every = match[1] in (None, "*")
        first = lowest if every else _number(text, at, match[1])
        open_end = highest if every or match[3] else first
        last = _number(text, at, match[2]) if match[2] else open_end
        if last < first:
            if at == _YEAR:
                raise _wrong(text, at, part, "a range in ascending order")
            # A range may wrap around, as 22-2 for hours.
            last += highest - lowest + 1
        found |= {lowest + (value - lowest) % (highest - lowest + 1) for value in range(first, last + 1, step)}
    return found


def _number(text: str, at: int, word: str) -> int:
    names = _NAMES[at]
    if word in names:
        return names.index(word) + 1
    if not word.isdecimal() or not _LOWEST[at] <= int(word) <= _HIGHEST[at]:
        more = f" or {names[0]} to {names[-1]}" if names else ""
        raise _wrong(text, at, word, f"{_LOWEST[at]} to {_HIGHEST[at]}{more}")
    return int(word)


def _wrong(text: str, at: int, part: str, expected: str) -> QuartzError:
    return QuartzError(f"{text!r}: {_FIELDS[at]} {part!r} is not {expected}")


def _working_day(year: int, month: int, day: int, length: int) -> int:
    """Return the nearest day from Monday to Friday in the same month."""
    weekday = date(year, month, day).isoweekday()
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 7:
        return day + 1 if day < length else day - 2
    return day
