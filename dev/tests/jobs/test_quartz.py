"""Quartz expressions: dates computed by Quartz 2.5.2, daylight saving, and invalid expressions."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dabs_lab.jobs.quartz import QuartzError, parse_quartz


def fires(expression: str, zone: str, after: str, count: int) -> list[str]:
    """Return the next fire times in UTC, without seconds if they are 0."""
    moment: datetime | None = datetime.fromisoformat(after).replace(tzinfo=UTC)
    found = []
    for _ in range(count):
        assert moment is not None
        moment = parse_quartz(expression).next_after(moment, ZoneInfo(zone))
        found.append("none" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00"))
    return found


# Computed by org.quartz.CronExpression 2.5.2.
SAME_AS_QUARTZ = [
    ("0 0/5 14,18 * * ?", "2026-01-01T14:50:00", ["2026-01-01 14:55", "2026-01-01 18:00", "2026-01-01 18:05"]),
    ("0 0/15 * * * ?", "2026-01-01T23:46:00", ["2026-01-02 00:00", "2026-01-02 00:15"]),
    ("0 0 2 ? * SUN", "2026-01-01T00:00:00", ["2026-01-04 02:00", "2026-01-11 02:00"]),
    ("0 30 3 * * ?", "2026-01-01T03:30:00", ["2026-01-02 03:30"]),
    ("0 0 12 ? * L", "2026-01-01T00:00:00", ["2026-01-03 12:00", "2026-01-10 12:00"]),
    ("0 15 10 ? * 6L 2026-2027", "2026-01-01T00:00:00", ["2026-01-30 10:15", "2026-02-27 10:15", "2026-03-27 10:15"]),
    ("0 0 0 ? * MON#5", "2026-01-01T00:00:00", ["2026-03-30 00:00", "2026-06-29 00:00", "2026-08-31 00:00"]),
    ("0 0 12 15W * ?", "2026-08-01T00:00:00", ["2026-08-14 12:00", "2026-09-15 12:00", "2026-10-15 12:00"]),
    ("0 0 12 1W * ?", "2026-07-15T00:00:00", ["2026-08-03 12:00", "2026-09-01 12:00"]),
    ("0 0 12 LW * ?", "2026-01-15T00:00:00", ["2026-01-30 12:00", "2026-02-27 12:00", "2026-03-31 12:00"]),
    ("0 0 12 L-3 * ?", "2026-02-01T00:00:00", ["2026-02-25 12:00", "2026-03-28 12:00", "2026-04-27 12:00"]),
    ("0 0 12 L,15 * ?", "2026-02-01T00:00:00", ["2026-02-15 12:00", "2026-02-28 12:00"]),
    ("0 0 12 31 * ?", "2026-01-31T12:00:00", ["2026-03-31 12:00", "2026-05-31 12:00"]),
    ("0 0 12 29 2 ?", "2026-01-01T00:00:00", ["2028-02-29 12:00", "2032-02-29 12:00"]),
    ("0 0 22-2 ? NOV-FEB FRI-MON", "2026-10-30T00:00:00", ["2026-11-01 00:00", "2026-11-01 01:00", "2026-11-01 02:00"]),
    ("0 0 12 1 1 ? 2025", "2026-01-01T00:00:00", ["none"]),
    ("0 0 0 1 1 ? 2026/2", "2026-01-01T00:00:00", ["2028-01-01 00:00", "2030-01-01 00:00"]),
    ("10/20 59 23 ? DEC *", "2026-12-30T23:59:30", ["2026-12-30 23:59:50", "2026-12-31 23:59:10"]),
]


@pytest.mark.parametrize(("expression", "after", "expected"), SAME_AS_QUARTZ)
def test_the_same_dates_as_quartz(expression: str, after: str, expected: list[str]) -> None:
    assert fires(expression, "UTC", after, len(expected)) == expected


CLOCKS = [
    # Clocks go forward: 02:30 does not occur; half-hourly times continue.
    ("0 30 2 * * ?", "Europe/Berlin", "2026-03-27T12:00:00", ["2026-03-28 01:30", "2026-03-30 00:30"]),
    ("0 30 2,3 * * ?", "America/New_York", "2026-03-08T00:00:00", ["2026-03-08 07:30", "2026-03-09 06:30"]),
    ("0 0/30 * * * ?", "America/New_York", "2026-03-08T06:15:00", ["2026-03-08 06:30", "2026-03-08 07:00"]),
    # A day that begins at 01:00.
    ("0 0 0 * * ?", "America/Sao_Paulo", "2018-11-03T12:00:00", ["2018-11-05 02:00", "2018-11-06 02:00"]),
    # Clocks go back: 02:30 occurs twice, and the second one fires.
    (
        "0 30 2 * * ?",
        "Europe/Berlin",
        "2026-10-23T12:00:00",
        ["2026-10-24 00:30", "2026-10-25 01:30", "2026-10-26 01:30"],
    ),
    # Nothing fires for 90 minutes, from 00:30 (04:30 UTC) to the second 01:00.
    ("0 0/30 * * * ?", "America/New_York", "2026-11-01T04:15:00", ["2026-11-01 04:30", "2026-11-01 06:00"]),
    ("0 0/30 * * * ?", "America/New_York", "2026-11-01T05:35:00", ["2026-11-01 07:00", "2026-11-01 07:30"]),
    # Daylight saving of half an hour.
    ("0 45 1 * * ?", "Australia/Lord_Howe", "2026-04-04T00:00:00", ["2026-04-04 15:15", "2026-04-05 15:15"]),
]


@pytest.mark.parametrize(("expression", "zone", "after", "expected"), CLOCKS)
def test_daylight_saving(expression: str, zone: str, after: str, expected: list[str]) -> None:
    assert fires(expression, zone, after, len(expected)) == expected


def test_a_moved_working_day_keeps_all_its_times() -> None:
    # Quartz 2.5 skips the second time, against its own documentation.
    assert fires("0 0 9,17 1W * ?", "UTC", "2026-10-31T00:00:00", 3) == [
        "2026-11-02 09:00", "2026-11-02 17:00", "2026-12-01 09:00"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 0 12 * *", "has 5 fields"),
        ("0 0 12 * * ? 2026 1", "has 8 fields"),
        ("0 0 12 * * *", r"write \?"),
        ("0 0 12 ? * ?", r"write \?"),
        ("60 0 12 * * ?", "seconds '60' is not 0 to 59"),
        ("0 0 25 * * ?", "hours '25'"),
        ("0 0 12 32 * ?", "day of month '32'"),
        ("0 0 12 0W * ?", "day of month '0'"),
        ("0 0 12 L-31 * ?", "L-0 to L-30"),
        ("0 0 12 * FOO ?", "month 'FOO' is not 1 to 12 or JAN to DEC"),
        ("0 0 12 ? * 8", "day of week '8'"),
        ("0 0 12 ? * MON#6", "1 to 5"),
        ("0 0 12 ? * 6L,2", "day of week"),
        ("0 0/60 * * * ?", "a step of 1 to 59"),
        ("0 0/0 * * * ?", "a step of 1 to 59"),
        ("0 0 12 * * ? 2027-2026", "ascending order"),
        ("0 0 12 1, * ?", "day of month ''"),
        ("0 -5 12 * * ?", "minutes '-5'"),
        ("0 *-5 12 * * ?", "minutes"),
    ],
)
def test_an_invalid_expression_is_refused_with_its_field(expression: str, message: str) -> None:
    with pytest.raises(QuartzError, match=message):
        parse_quartz(expression)


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])


@given(
    zone=ZONES,
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=4),
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=4),
    days=st.sets(st.integers(1, 7), min_size=1),
    moment=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)
@settings(max_examples=150, deadline=None)
def test_nothing_fires_between_a_moment_and_the_next_time(
    zone: str, minutes: set[int], hours: set[int], days: set[int], moment: datetime
) -> None:
    expression = f"0 {','.join(map(str, minutes))} {','.join(map(str, hours))} ? * {','.join(map(str, days))}"
    found = parse_quartz(expression).next_after(moment, ZoneInfo(zone))
    assert found is not None
    assert found > moment
    here = found.astimezone(ZoneInfo(zone))
    assert (here.minute in minutes, here.hour in hours, here.isoweekday() % 7 + 1 in days) == (True, True, True)
    # A matching minute between the two must be in an hour that occurs twice.
    minute = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while minute < found:
        local = minute.astimezone(ZoneInfo(zone))
        matches = local.minute in minutes and local.hour in hours and local.isoweekday() % 7 + 1 in days
        assert not matches or _occurs_twice(local)
        minute += timedelta(minutes=1)


def _occurs_twice(local: datetime) -> bool:
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def test_weekdays_count_from_sunday() -> None:
    assert date(2026, 1, 4).isoweekday() == 7
    assert fires("0 0 0 ? * 1", "UTC", "2026-01-01T00:00:00", 1) == ["2026-01-04 00:00"]
