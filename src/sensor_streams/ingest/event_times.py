"""Event times: parse ISO 8601 texts, and give the reason for other texts."""

from pyspark.sql import Column
from pyspark.sql import functions as F

# ISO 8601 with date, time and zone. \z and not $, because $ allows a line end after it.
_DATE_TIME = r"(\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?|\d{8}[Tt]\d{4}(\d{2}([.,]\d+)?)?)"
_ZONE = r"([Zz]|[+\-−]\d{2}(:?\d{2})?)"
_ACCEPTED = rf"^{_DATE_TIME}{_ZONE}\z"
_WITHOUT_ZONE = rf"^{_DATE_TIME}\z"
# The format of nearly every line, which Spark casts without rewriting.
_PLAIN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})\z"
_FIRST, _LAST = "1900-01-01", "9999-12-30"
_SHOWN = 80
# Reasons to refuse a text; the first pattern that matches counts.
_REASONS = (
    (r"^\d{4}-?W\d{2}", "a week date: write year, month and day"),
    (r"^\d{4}-?\d{3}([Tt]|\z)", "an ordinal date: write year, month and day"),
    (r"^\d{4}-\d{2}-\d{2} \d{2}:", "a space between date and time: write T"),
    (r"^\d{4}-?\d{2}-?\d{2}[Tt]24", "hour 24: write 00:00 of the next day"),
    (r"^\d{4}-?\d{2}-?\d{2}[Tt]\d{2}:?\d{2}:?60", "second 60: a leap second cannot be stored"),
    (r"[Tt][\d:.,]*[+\-−](19|[2-9]\d|18:?(0[1-9]|[1-9]\d))(:?\d{2})?\z", "an offset of more than 18 hours"),
    (rf"^{_DATE_TIME}[+\-−]\d{{2}}:?[6-9]\d\z", "an offset with more than 59 minutes"),
    (_ACCEPTED, "a date or time that does not exist, or is before 1900 or after 9999-12-30"),
)
_ADVICE = "write 2026-01-31T12:00:00Z"


def event_time(text: Column) -> Column:
    """Return the time of a text (timestamp), cut to microseconds; null for a text that is not accepted.

    Accepted are ISO 8601 dates and times in extended or basic format. Seconds are optional, with any number of digits
    after a point or comma. Zones are `Z`, `+01:00`, `+0100` and `+01`, also with U+2212 as the minus sign. Times
    before 1900 or after 9999-12-30 are null, because not every calendar has them.
    """
    plain = F.when(text.rlike(_PLAIN), text).when(text.rlike(_ACCEPTED), _plain(text))
    time = plain.try_cast("timestamp")
    return F.when(time.between(F.lit(_FIRST).cast("timestamp"), F.lit(_LAST).cast("timestamp")), time)


def has_no_zone(text: Column) -> Column:
    """Return True for a date and time without a zone."""
    return text.rlike(_WITHOUT_ZONE)


def why_malformed(text: Column) -> Column:
    """Return the text, what is wrong with it, and what to write."""
    reason = F.lit(_ADVICE)
    for pattern, words in reversed(_REASONS):
        reason = F.when(text.rlike(pattern), F.lit(f"{words}; {_ADVICE}")).otherwise(reason)
    return F.concat(F.substring(text, 1, _SHOWN), F.lit(": "), reason)


def _plain(text: Column) -> Column:
    """Rewrite an accepted text as `2026-01-31T12:00:00.123456+01:00`; digits after the sixth are cut."""
    plain = F.upper(F.translate(text, ",−", ".-"))
    for pattern, replacement in (
        (r"^(\d{4})-?(\d{2})-?(\d{2})T(\d{2}):?(\d{2})", "$1-$2-$3T$4:$5"),
        # After the 16 characters of date, hour and minute: a zone, or seconds without a colon.
        (r"^(.{16})(?=[Z+-])", "$1:00"),
        (r"^(.{16})(\d{2})", "$1:$2"),
        (r"(\.\d{6})\d+", "$1"),
        (r"([+-]\d{2})(\d{2})\z", "$1:$2"),
        (r"(T[^+-]*[+-]\d{2})\z", "$1:00"),
    ):
        plain = F.regexp_replace(plain, pattern, replacement)
    return plain
