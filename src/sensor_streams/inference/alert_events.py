"""Events of alert episodes: differences between an episode and the events already written about it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.incremental.change_feed import ChangeFeedScope
from sensor_streams.incremental.difference import OPERATION, difference, same_number
from sensor_streams.incremental.interpreted import interpreted
from sensor_streams.incremental.small_rows import compute_once, kept
from sensor_streams.incremental.stream import (
    Batch,
    Comparison,
    LoadVersion,
    Outcome,
    TimeRange,
    retry_committed,
)
from sensor_streams.incremental.transactions import Writes, append, delete_by_key
from sensor_streams.inference.alerts import PEAK
from sensor_streams.table_spec import Columns

if TYPE_CHECKING:
    from sensor_streams.inference.registry import LoadedModel

EPISODE = ("device_id", "rule", "opened_at")
OPENED, UPDATED, RESOLVED, WITHDRAWN = "OPENED", "UPDATED", "RESOLVED", "WITHDRAWN"
_FIELDS = ("state", "peak", "peak_at", "resolved_at", "windows")


def columns(_: Fleet) -> Columns:
    """Return the columns of `alert_events`."""
    return [
        ("device_id", "string"),
        ("rule", "string"),
        ("opened_at", "timestamp"),
        ("number", "int"),
        ("kind", "string"),
        ("state", "string"),
        ("peak", "double"),
        ("peak_at", "timestamp"),
        ("resolved_at", "timestamp"),
        ("windows", "int"),
        ("recorded_at", "timestamp"),
    ]


def not_withdrawn(events: DataFrame) -> DataFrame:
    """Return device_id, rule, opened_at of the episodes whose last event is not WITHDRAWN."""
    last = events.groupBy(*EPISODE).agg(F.max_by("kind", "number").alias("kind"))
    return last.where(F.col("kind") != WITHDRAWN).select(*EPISODE)


def alert_events(changed: DataFrame, events: DataFrame) -> DataFrame:
    """Return the events to append, without `recorded_at`.

    changed: one row per episode that may have changed, with the columns of `alerts`; all but the key are null when
    the episode no longer exists. events: written events of the same episodes.
    Out: number (from 1, per episode), kind, and the fields of the episode; for WITHDRAWN those of its last event.

    - OPENED: the episode has no event, or its last one is WITHDRAWN. RESOLVED follows if the episode is over.
    - RESOLVED: it was open and is over.
    - UPDATED: it is open again, or its peak or end changed. A longer duration alone makes no event.
    - WITHDRAWN: it no longer exists.

    A replay appends nothing, because the comparison is with written events.
    """
    last = events.groupBy(*EPISODE).agg(
        F.max("number").alias("last_number"),
        F.max_by(F.struct("kind", *_FIELDS), "number").alias("last"),
    )
    joined = changed.join(last, list(EPISODE), "left")
    exists, last_kind = F.col("state").isNotNull(), F.col("last.kind")
    is_known = last_kind.isNotNull() & (last_kind != WITHDRAWN)
    resolved = F.col("state") == "RESOLVED"
    was_open = F.col("last.state") == "OPEN"
    kinds = (
        F.when(exists & ~is_known & resolved, F.array(F.lit(OPENED), F.lit(RESOLVED)))
        .when(exists & ~is_known, F.array(F.lit(OPENED)))
        .when(~exists & is_known, F.array(F.lit(WITHDRAWN)))
        .when(exists & resolved & was_open, F.array(F.lit(RESOLVED)))
        .when(exists & ~_same(), F.array(F.lit(UPDATED)))
    )
    new = joined.select(
        *EPISODE,
        F.coalesce("last_number", F.lit(0)).alias("last_number"),
        F.posexplode(kinds).alias("at", "kind"),
        *[
            F.coalesce(F.col(n), F.col(f"last.{n}")).alias(n) if n != "resolved_at" else _end().alias(n)
            for n in _FIELDS
        ],
    )
    # The first event of an episode says that it is open, even if the episode is already over.
    opened = (F.col("kind") == OPENED) & (F.col("state") == "RESOLVED")
    return new.select(
        *EPISODE,
        (F.col("last_number") + F.col("at") + 1).cast("int").alias("number"),
        "kind",
        F.when(opened, "OPEN").otherwise(F.col("state")).alias("state"),
        "peak",
        "peak_at",
        F.when(~opened, F.col("resolved_at")).alias("resolved_at"),
        "windows",
    )


def _end() -> Column:
    """Return the end of the episode, or of its last event if the episode no longer exists."""
    return F.when(F.col("state").isNotNull(), F.col("resolved_at")).otherwise(F.col("last.resolved_at"))


def _same() -> Column:
    return (
        (F.col("state") == F.col("last.state"))
        & F.expr(same_number("peak", "last.peak", PEAK))
        & F.col("peak_at").eqNullSafe(F.col("last.peak_at"))
        & F.col("resolved_at").eqNullSafe(F.col("last.resolved_at"))
    )


class AlertEventLog(ChangeFeedScope):
    """Scope of the stream that appends the events of changed episodes."""

    # Events are history: a range of them is not recomputed.
    is_computed = False

    def process_batch(self, rows: DataFrame, batch: Batch) -> Outcome:
        """Append the events of the changed episodes (device_id, rule, opened_at)."""
        return retry_committed(lambda again: self._append(rows, again, with_orphans=again.is_first), batch)

    def rebuild(self, batch: Batch, span: TimeRange) -> Writes:
        """Append the missing events of all episodes, including episodes that no longer exist."""
        return self._append(batch.tables.read(batch.stream.sources[0]), batch, with_orphans=True).writes

    def rebuild_device(self, batch: Batch, device: str, model: "Callable[[], LoadedModel]") -> None:
        """Delete all events of the device's changed episodes, and append new ones."""
        wrong = self._differing(batch).where(F.col("device_id") == device).select(*EPISODE).distinct().localCheckpoint()
        delete_by_key(batch.tables.tables[batch.stream.name], wrong, EPISODE)
        self.rebuild(batch, TimeRange())

    def compare(self, batch: Batch, span: TimeRange, load: LoadVersion) -> Comparison:
        """Compare the last event of each episode with the episode; numbers must be 1, 2, 3, …"""
        return Comparison(batch.tables.read(batch.stream.sources[0]).count(), self._differing(batch))

    def orphans(self, batch: Batch) -> DataFrame:
        """Return the episodes whose last event is not WITHDRAWN."""
        return not_withdrawn(batch.tables.read(batch.stream.name))

    def _append(self, rows: DataFrame, batch: Batch, *, with_orphans: bool) -> Outcome:
        tables, stream = batch.tables, batch.stream
        episodes = rows.select(*EPISODE)
        if with_orphans:
            episodes = episodes.unionByName(self.orphans(batch))
        touched, few = kept(episodes.distinct())
        if touched.isEmpty():
            return Outcome()
        with interpreted(tables.session, when=few is not None):
            keys = F.broadcast(touched)
            stored = tables.read(stream.sources[0]).join(keys, list(EPISODE), "left_semi")
            changed = touched.join(stored, list(EPISODE), "left")
            written = tables.read(stream.name).join(keys, list(EPISODE), "left_semi")
            columns = stream.columns(batch.fleet)
            new = alert_events(changed, written).withColumn("recorded_at", F.current_timestamp())
            new = new.select(*[F.col(name).cast(kind).alias(name) for name, kind in columns])
            # At most two events for each episode.
            new = compute_once(new, is_small=few is not None)
            count = new.count()
            if count:
                append(tables.tables[stream.name], new, columns, batch.transaction)
        return Outcome(Writes(inserted=count))

    def _differing(self, batch: Batch) -> DataFrame:
        events = batch.tables.read(batch.stream.name)
        fields = [("state", "string"), ("peak", "double"), ("peak_at", "timestamp"), ("resolved_at", "timestamp")]
        names = [name for name, _ in fields]
        last = events.groupBy(*EPISODE).agg(F.max_by(F.struct("kind", *names), "number").alias("last"))
        by_events = last.where(F.col("last.kind") != WITHDRAWN).select(
            *EPISODE, *[F.col(f"last.{name}").alias(name) for name in names]
        )
        episodes = batch.tables.read(batch.stream.sources[0]).select(*EPISODE, *names)
        columns = [("device_id", "string"), ("rule", "string"), ("opened_at", "timestamp"), *fields]
        differ = difference(by_events, episodes, columns, EPISODE, {"peak": PEAK})
        numbers = events.groupBy(*EPISODE).agg(
            F.count(F.lit(1)).alias("n"), F.max("number").alias("most"), F.countDistinct("number").alias("different")
        )
        gaps = numbers.where("n != most OR n != different").select(
            *EPISODE, F.lit("numbers have gaps").alias(OPERATION)
        )
        return differ.select(*EPISODE, OPERATION).unionByName(gaps)
