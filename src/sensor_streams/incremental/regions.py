"""Streams whose tables are computed from other tables: find the touched region, recompute it, write the differences."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sensor_streams.errors import SensorStreamsError, TableError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.change_feed import ChangeFeedScope
from sensor_streams.incremental.difference import OPERATION, difference
from sensor_streams.incremental.interpreted import interpreted
from sensor_streams.incremental.small_rows import compute_once
from sensor_streams.incremental.stream import (
    Batch,
    Comparison,
    Inputs,
    LoadVersion,
    Outcome,
    Stream,
    TimeRange,
    retry_committed,
)
from sensor_streams.incremental.transactions import Writes, apply

if TYPE_CHECKING:
    from sensor_streams.inference.registry import LoadedModel


@dataclass(frozen=True)
class Region:
    """Part of a stream's table and of its sources.

    source: (table, rows) → the rows from which the part is computed. sink: rows → the rows in the part.
    condition: SQL bounds of its dates and times on alias `t`; a merge opens no files outside of them.
    newest: greatest touched time, None when unknown. trim: see `Inputs`. is_small: its rows fit on the driver.
    is_tiny: they are so few that compiling a query takes longer than reading them.
    """

    source: Callable[[str, DataFrame], DataFrame]
    sink: Callable[[DataFrame], DataFrame]
    condition: str = "true"
    newest: datetime | None = None
    trim: Callable[[DataFrame], DataFrame] = lambda rows: rows
    is_small: bool = False
    is_tiny: bool = False


class RegionScope(ChangeFeedScope, ABC):
    """Base of the scopes of computed streams; a subclass finds the region of a change or of a range of times."""

    is_computed = True

    @abstractmethod
    def touched(self, changes: DataFrame, batch: Batch) -> Region | None:
        """Return the region that changed source rows touch, None for no rows."""

    @abstractmethod
    def between(self, span: TimeRange, batch: Batch) -> Region:
        """Return the region of a range of times, widened to whole windows."""

    @abstractmethod
    def orphans(self, batch: Batch) -> DataFrame:
        """Return stored rows whose source rows are all gone, with the columns of source changes."""

    @abstractmethod
    def as_changes(self, stored: DataFrame, sources: Sequence[DataFrame]) -> DataFrame:
        """Return rows of the stream's table and of its sources with the columns of source changes."""

    def process_batch(self, rows: DataFrame, batch: Batch) -> Outcome:
        """Recompute and write the region that the changed rows touch.

        The changed rows only locate the region. Results are computed from the current sources.
        """
        return retry_committed(lambda again: self._process(rows, again), batch)

    def _process(self, rows: DataFrame, batch: Batch) -> Outcome:
        # An earlier checkpoint may have been lost, and with it the delete events: include orphans.
        if batch.is_first and not batch.tables.read(batch.stream.name).isEmpty():
            orphans = self.orphans(batch)
            rows = rows.select(*orphans.columns).unionByName(orphans)
        region = self.touched(rows, batch)
        if region is None:
            return Outcome()
        return Outcome(write_region(batch, region), newest=region.newest)

    def rebuild(self, batch: Batch, span: TimeRange) -> Writes:
        """Recompute a range of the table; write only the differences."""
        return write_region(batch, self.between(span, batch))

    def rebuild_device(self, batch: Batch, device: str, model: "Callable[[], LoadedModel]") -> None:
        """Recompute all rows of one device. model: not called when the device has no rows."""
        of_device = F.col("device_id") == device
        sources = [batch.tables.read(source).where(of_device) for source in batch.stream.sources]
        changes = self.as_changes(batch.tables.read(batch.stream.name).where(of_device), sources)
        if batch.stream.model is not None:
            if changes.isEmpty():
                return
            batch = replace(batch, model=model())
        self.process_batch(changes, batch)

    def compare(self, batch: Batch, span: TimeRange, load: LoadVersion) -> Comparison:
        """Compare a range of the table with its function; a key with two rows differs too."""
        stream, region = batch.stream, self.between(span, batch)
        compare = stream.compare
        found = changed_rows(batch, region) if compare is None else compare(batch, region.sink, load)
        keys = region.sink(batch.tables.read(stream.name)).groupBy(*stream.key).count()
        counts = keys.agg(F.sum("count"), F.count_if(F.col("count") > 1)).first()
        rows = int(counts[0] or 0) if counts is not None else 0
        if counts is not None and counts[1]:
            # Each of the two rows is compared with the computed row, and both may equal it.
            twice = keys.where("count > 1").select(*stream.key, F.lit("stored twice").alias(OPERATION))
            rest = found.join(twice, list(stream.key), "left_anti")
            found = rest.select(*stream.key, OPERATION).unionByName(twice)
        return Comparison(rows, found)


def write_region(batch: Batch, region: Region) -> Writes:
    """Recompute a region and write the differences. Raises AlreadyCommittedError when Delta knows the transaction."""
    stream = batch.stream
    target, columns = batch.tables.tables[stream.name], stream.columns(batch.fleet)
    with interpreted(batch.tables.session, when=region.is_tiny):
        changes = changed_rows(batch, region)
        return apply(
            target, changes, columns, stream.key, region.condition, batch.transaction, is_small=region.is_small
        )


def changed_rows(batch: Batch, region: Region) -> DataFrame:
    """Return the differences between a region of the stream's table and its function: rows with `operation`.

    Raises TableError for a missing column.
    """
    stream, fleet, tables = batch.stream, batch.fleet, batch.tables
    if stream.compute is None:
        raise SensorStreamsError(f"stream {stream.name} has no function that computes its table")
    stored = region.sink(tables.read(stream.name))
    sources = {table: region.source(table, tables.read(table)) for table in stream.sources}
    names = column_names(stream, fleet, stored)
    if region.is_small and stream.reads_twice:
        stored = compute_once(stored, is_small=True)
        sources = {table: compute_once(rows, is_small=True) for table, rows in sources.items()}
    # A function needs rows around the region, so its result may reach beyond the region.
    computed = stream.compute(Inputs(sources, stored, fleet, batch.model, region.trim))
    columns, magnitudes = stream.columns(fleet), stream.magnitudes(fleet)
    return difference(stored.select(*names), region.sink(computed.select(*names)), columns, stream.key, magnitudes)


def column_names(stream: Stream, fleet: Fleet, stored: DataFrame) -> list[str]:
    """Return the names of the stream's columns. Raises TableError when the table has no such column."""
    names = [name for name, _ in stream.columns(fleet)]
    missing = [name for name in names if name not in stored.columns]
    if missing:
        raise TableError(
            f"table {stream.name} has no column {', '.join(missing[:5])}{' …' if missing[5:] else ''}, which "
            f"sensors.yml needs: the file is newer than the table. Run the stream {stream.name} once, which adds them"
        )
    return names
