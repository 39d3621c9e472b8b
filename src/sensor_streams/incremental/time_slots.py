"""Which part of a table a change touches: the slots of time, or all since a point where nothing was open."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet

Span = Callable[[Fleet], int]

# No reading is from before or after (see `ingest.parse`): a look-back or look-ahead beyond needs no bound.
_FIRST = int(datetime(1800, 1, 1, tzinfo=UTC).timestamp())
_LAST = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())

# Up to this many touched keys are sent to every task instead of sorting the table by them.
_BROADCAST = 300_000


def no_time(_: Fleet) -> int:
    """No margin."""
    return 0


@dataclass(frozen=True)
class Region:
    """A part of a stream's tables.

    source: (table, rows) → the rows that the part is computed from. sink: rows → the rows in the part.
    condition: the part's dates and times as SQL on alias `t`, so that a merge opens no other files.
    newest: the greatest touched time, None when unknown.
    """

    source: Callable[[str, DataFrame], DataFrame]
    sink: Callable[[DataFrame], DataFrame]
    condition: str = "true"
    newest: datetime | None = None
    trim: Callable[[DataFrame], DataFrame] = lambda rows: rows


@dataclass(frozen=True)
class Slots:
    """Output rows belong to slots of fixed length; a change at t touches the slots from t's own to that of t + ahead.

    by: the columns that source and sink share and that a change stays within. source_time, sink_time: the columns
    that are cut into slots. dates: the partition column of each table that has one, the date of that time.
    """

    by: tuple[str, ...]
    source_time: str
    sink_time: str
    length: Span
    ahead: Span = no_time
    dates: Mapping[str, str] | None = None

    def touched(self, changes: DataFrame, fleet: Fleet, sink: str) -> Region | None:
        """The region that the changed source rows touch, None when there are none."""
        length, ahead = self.length(fleet), self.ahead(fleet)
        slot = F.explode(F.sequence(_slot(self.source_time, length), _slot(self.source_time, length, ahead)))
        touched = changes.select(*self.by, (slot if ahead else _slot(self.source_time, length)).alias("slot"))
        touched = touched.distinct().localCheckpoint()
        span = touched.agg(F.min("slot"), F.max("slot"), F.count(F.lit(1))).first()
        if span is None or span[0] is None:
            return None
        low, high, count = int(span[0]), int(span[1]), int(span[2])
        margin = -(-ahead // length)
        steps = F.explode(F.array(*[F.col("slot") - n for n in range(margin + 1)]))
        needed = touched.select(*self.by, steps.alias("slot")).distinct() if margin else touched
        start, end = _time(low * length), _time((high + 1) * length)
        first = _time(low * length - ahead)

        def source(table: str, rows: DataFrame) -> DataFrame:
            span = self._between(table, self.source_time, first, end)
            return _semi(rows.where(span), needed, self.by, _slot(self.source_time, length), count * (margin + 1))

        def within(rows: DataFrame) -> DataFrame:
            span = self._between(sink, self.sink_time, start, end)
            return _semi(rows.where(span), touched, self.by, _slot(self.sink_time, length), count)

        condition = self._condition(sink, self.sink_time, start, end)
        return Region(source, within, condition, newest=_time((high - margin + 1) * length))

    def between(self, low: datetime | None, high: datetime | None, fleet: Fleet, sink: str) -> Region:
        """The region of all slots that hold times from `low` up to, not including, `high`; None means no limit."""
        length, ahead = self.length(fleet), self.ahead(fleet)
        begin = None if low is None else floor(low.timestamp()) // length * length
        start = None if begin is None else _time(begin)
        end = None if high is None else _time(-(-ceil(high.timestamp()) // length) * length)
        first = None if begin is None else _time(begin - ahead)
        return Region(
            lambda table, rows: rows.where(self._between(table, self.source_time, first, end)),
            lambda rows: rows.where(self._between(sink, self.sink_time, start, end)),
            self._condition(sink, self.sink_time, start, end),
        )

    def orphans(self, stored: DataFrame, sources: Sequence[DataFrame], fleet: Fleet) -> DataFrame:
        """`by` and time, in the form of source rows, of those stored rows in whose slot there is no source row."""
        length = self.length(fleet)
        there: DataFrame | None = None
        for rows in sources:
            slots = rows.select(*self.by, _slot(self.source_time, length).alias("slot"))
            there = slots if there is None else there.unionByName(slots)
        kept = stored.select(*self.by, F.col(self.sink_time).alias(self.source_time))
        if there is None:
            return kept
        marked = kept.withColumn("slot", _slot(self.source_time, length))
        return marked.join(there.distinct(), [*self.by, "slot"], "left_anti").drop("slot")

    def _bounds(
        self, table: str, time: str, start: datetime | None, end: datetime | None
    ) -> list[tuple[str, Literal[">=", "<", "<="], str]]:
        date = (self.dates or {}).get(table)
        bounds: list[tuple[str, Literal[">=", "<", "<="], str]] = []
        # Not strftime: that writes the year 999 with three digits.
        if start is not None:
            bounds.append((time, ">=", f"TIMESTAMP'{start.isoformat(' ', 'seconds')}'"))
            if date:
                bounds.append((date, ">=", f"DATE'{start.date().isoformat()}'"))
        if end is not None:
            bounds.append((time, "<", f"TIMESTAMP'{end.isoformat(' ', 'seconds')}'"))
            if date:
                bounds.append((date, "<=", f"DATE'{end.date().isoformat()}'"))
        return bounds

    def _between(self, table: str, time: str, start: datetime | None, end: datetime | None) -> Column:
        bounds = self._bounds(table, time, start, end)
        return F.expr(" AND ".join(f"`{c}` {op} {v}" for c, op, v in bounds) or "true")

    def _condition(self, table: str, time: str, start: datetime | None, end: datetime | None) -> str:
        bounds = self._bounds(table, time, start, end)
        return " AND ".join(f"t.`{c}` {op} {v}" for c, op, v in bounds) or "true"


def _slot(time: str, length: int, ahead: int = 0) -> Column:
    return F.floor((F.unix_seconds(F.col(time)) + F.lit(ahead)) / F.lit(length)).cast("bigint")


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, _FIRST), _LAST), UTC)


def _semi(rows: DataFrame, keys: DataFrame, by: tuple[str, ...], slot: Column, count: int) -> DataFrame:
    marked = rows.withColumn("slot", slot)
    right = F.broadcast(keys) if count <= _BROADCAST else keys
    return marked.join(right, [*by, "slot"], "left_semi").drop("slot")
