"""Regions of streams whose rows belong to slots of time, such as windows: the slots that a change touches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.incremental.regions import Region, RegionScope
from sensor_streams.incremental.slots import SLOT, slots_of
from sensor_streams.incremental.stream import Batch, TimeRange

Span = Callable[[Fleet], int]

# No reading is outside these times (see `ingest.parse`), so slots are limited to them.
_FIRST = int(datetime(1800, 1, 1, tzinfo=UTC).timestamp())
_LAST = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())


def no_time(_: Fleet) -> int:
    """Return 0: a change touches only its own slot."""
    return 0


@dataclass(frozen=True)
class TimeSlots(RegionScope):
    """Output rows belong to slots of fixed length; a change at t touches the slots of t to t + ahead.

    by: columns of source and sink; a change affects only rows with the same values. source_time, sink_time: times that
    are cut into slots. length, ahead: in seconds. partitions: partition column (date of that time) by table.
    """

    by: tuple[str, ...]
    source_time: str
    sink_time: str
    length: Span
    ahead: Span = no_time
    partitions: Mapping[str, str] | None = None

    def touched(self, changes: DataFrame, batch: Batch) -> Region | None:
        """Return the region that changed source rows (`by` and `source_time`) touch, None for no rows."""
        length, ahead, sink = self.length(batch.fleet), self.ahead(batch.fleet), batch.stream.name
        slot = F.explode(F.sequence(_slot(self.source_time, length), _slot(self.source_time, length, ahead)))
        touched = changes.select(*self.by, (slot if ahead else _slot(self.source_time, length)).alias(SLOT)).distinct()
        slots = slots_of(touched)
        if slots is None:
            return None
        margin = -(-ahead // length)
        needed = slots.with_earlier(margin)
        start, end = _time(slots.low * length), _time((slots.high + 1) * length)
        first = _time(slots.low * length - ahead)

        def source(table: str, rows: DataFrame) -> DataFrame:
            bounded = rows.where(self._between(table, self.source_time, first, end))
            return needed.select_from(bounded, _slot(self.source_time, length))

        def within(rows: DataFrame) -> DataFrame:
            bounded = rows.where(self._between(sink, self.sink_time, start, end))
            return slots.select_from(bounded, _slot(self.sink_time, length))

        condition = self._condition(sink, self.sink_time, start, end)
        newest = _time((slots.high - margin + 1) * length)
        return Region(source, within, condition, newest, is_small=slots.is_small, is_tiny=slots.is_tiny)

    def between(self, span: TimeRange, batch: Batch) -> Region:
        """Return the region of all slots that hold times of the range."""
        length, ahead, sink = self.length(batch.fleet), self.ahead(batch.fleet), batch.stream.name
        begin = None if span.low is None else floor(span.low.timestamp()) // length * length
        start = None if begin is None else _time(begin)
        end = None if span.high is None else _time(-(-ceil(span.high.timestamp()) // length) * length)
        first = None if begin is None else _time(begin - ahead)
        return Region(
            lambda table, rows: rows.where(self._between(table, self.source_time, first, end)),
            lambda rows: rows.where(self._between(sink, self.sink_time, start, end)),
            self._condition(sink, self.sink_time, start, end),
        )

    def orphans(self, batch: Batch) -> DataFrame:
        """Return `by` and `source_time` of stored rows whose slot has no source row."""
        length, tables = self.length(batch.fleet), batch.tables
        slot = _slot(self.source_time, length).alias("slot")
        stored = self.as_changes(tables.read(batch.stream.name), ()).withColumn("slot", slot)
        for source in batch.stream.sources:
            slots = tables.read(source).select(*self.by, slot).distinct()
            stored = stored.join(slots, [*self.by, "slot"], "left_anti")
        return stored.drop("slot")

    def as_changes(self, stored: DataFrame, sources: Sequence[DataFrame]) -> DataFrame:
        """Return `by` and `source_time` of the rows."""
        changes = stored.select(*self.by, F.col(self.sink_time).alias(self.source_time))
        for rows in sources:
            changes = changes.unionByName(rows.select(*self.by, self.source_time))
        return changes

    def _bounds(
        self, table: str, time: str, start: datetime | None, end: datetime | None
    ) -> list[tuple[str, Literal[">=", "<", "<="], str]]:
        date = (self.partitions or {}).get(table)
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
