"""Regions of alert episodes: all rows of a device and rule since a quiet window, after which no episode is open."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.incremental.interpreted import interpreted
from sensor_streams.incremental.regions import Region, RegionScope
from sensor_streams.incremental.small_rows import compute_once, kept
from sensor_streams.incremental.stream import Batch, TimeRange
from sensor_streams.inference.alerts import definitely_closed

Signals = Callable[[Mapping[str, DataFrame], Fleet], DataFrame]

# The search for a quiet window reads 64 long windows, then 2048, then all.
_DEPTHS = (64, 2048)
# Up to this many devices, intermediate rows are kept on the driver.
_FEW = 200


@dataclass(frozen=True)
class AlertEpisodes(RegionScope):
    """An episode has any length, so a change at t touches all rows since the last quiet window before t.

    signals: (table → rows, fleet) → device_id, rule, window_start, value.
    """

    signals: Signals

    def touched(self, changes: DataFrame, batch: Batch) -> Region | None:
        """Return the region that changed rows (device_id, window_start) touch, None for no rows.

        The window before the change is touched too: it was the newest window so far, which `alerts` ignores.
        """
        first, few = kept(changes.groupBy("device_id").agg(F.min("window_start").alias("first")))
        is_small = few is not None and few.num_rows <= _FEW
        if first.isEmpty():
            return None
        devices = F.broadcast(first)
        since = self._anchors(devices, batch, is_small)
        low = since.agg(F.min("since"), F.count_if(F.col("since").isNull())).first()
        # Without a quiet window, use all rows. Spark returns local times without a zone.
        start = None if low is None or low[0] is None or low[1] else low[0].astimezone(UTC)
        anchors = F.broadcast(since)

        def source(_: str, rows: DataFrame) -> DataFrame:
            bounded = rows if start is None else rows.where(F.col("window_start") >= F.lit(start))
            return bounded.join(devices, "device_id", "left_semi")

        def trim(signals: DataFrame) -> DataFrame:
            joined = signals.join(anchors, ["device_id", "rule"])
            return joined.where(F.col("since").isNull() | (F.col("window_start") >= F.col("since"))).drop("since")

        def sink(rows: DataFrame) -> DataFrame:
            joined = rows.join(anchors, ["device_id", "rule"])
            return joined.where(F.col("since").isNull() | (F.col("opened_at") > F.col("since"))).drop("since")

        return Region(source, sink, trim=trim, is_small=is_small, is_tiny=is_small and start is not None)

    def between(self, span: TimeRange, batch: Batch) -> Region:
        """Return the region of the episodes that opened in the range, computed from all rows."""

        def sink(rows: DataFrame) -> DataFrame:
            rows = rows if span.low is None else rows.where(F.col("opened_at") >= F.lit(span.low))
            return rows if span.high is None else rows.where(F.col("opened_at") < F.lit(span.high))

        return Region(lambda _, rows: rows, sink)

    def orphans(self, batch: Batch) -> DataFrame:
        """Return device_id and window_start of stored episodes of devices without a source row."""
        stored = self.as_changes(batch.tables.read(batch.stream.name), ())
        for source in batch.stream.sources:
            devices = batch.tables.read(source).select("device_id").distinct()
            stored = stored.join(devices, "device_id", "left_anti")
        return stored

    def as_changes(self, stored: DataFrame, sources: Sequence[DataFrame]) -> DataFrame:
        """Return device_id and window_start of the rows."""
        changes = stored.select("device_id", F.col("opened_at").alias("window_start"))
        for rows in sources:
            changes = changes.unionByName(rows.select("device_id", "window_start"))
        return changes

    def _anchors(self, devices: DataFrame, batch: Batch, is_small: bool) -> DataFrame:
        """Return device_id, rule, since: last quiet window, at least two windows before the change, or null."""
        fleet = batch.fleet
        session = devices.sparkSession
        rules = session.createDataFrame([(rule,) for rule in sorted(fleet.alerts)], "rule string")
        open_pairs = devices.select("device_id").crossJoin(rules)
        found: DataFrame | None = None
        for depth in (*_DEPTHS, None):
            earlier = {
                table: _before(batch.tables.read(table), devices, depth, fleet) for table in batch.stream.sources
            }
            signals = self.signals(earlier, fleet)
            order = Window.partitionBy("device_id", "rule").orderBy(F.col("window_start").desc())
            quiet = (
                signals.withColumn("back", F.row_number().over(order))
                .where((F.col("back") > 1) & definitely_closed(fleet))
                .groupBy("device_id", "rule")
                .agg(F.max("window_start").alias("since"))
            )
            with interpreted(session, when=is_small and depth == _DEPTHS[0]):
                anchors = compute_once(open_pairs.join(quiet, ["device_id", "rule"], "left"), is_small=is_small)
            complete = anchors if depth is None else anchors.where(F.col("since").isNotNull())
            found = complete if found is None else found.unionByName(complete)
            if depth is None or anchors.where(F.col("since").isNull()).isEmpty():
                break
            open_pairs = anchors.where(F.col("since").isNull()).drop("since")
        if found is None:
            return open_pairs.withColumn("since", F.lit(None).cast("timestamp"))
        return compute_once(found, is_small=is_small)


def _before(rows: DataFrame, devices: DataFrame, depth: int | None, fleet: Fleet) -> DataFrame:
    """Return the devices' rows before their first change, from the last `depth` long windows; all for None."""
    earlier = rows.join(devices, "device_id").where(F.col("window_start") < F.col("first"))
    if depth is None:
        return earlier
    return earlier.where(F.col("window_start") >= F.col("first") - F.lit(timedelta(seconds=depth * fleet.long_seconds)))
