"""The region of episodes: everything of a device and rule since a point where no episode can have been open."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.incremental.time_slots import Region
from sensor_streams.inference.alerts import definitely_closed

Read = Callable[[str], DataFrame]
Signals = Callable[[Mapping[str, DataFrame], Fleet], DataFrame]

# How many long windows back the first look goes, and the second; the third one takes everything.
_LOOKS = (64, 2048)


@dataclass(frozen=True)
class Since:
    """Episodes run on for as long as they like, so a change at t touches all since the last quiet window before t.

    signals: (table → rows, fleet) → device_id, rule, window_start, value. sources: the tables it reads.
    """

    sources: tuple[str, ...]
    signals: Signals

    def touched(self, changes: DataFrame, fleet: Fleet, read: Read) -> Region | None:
        """The region that the changed rows (device_id, window_start, …) touch, None when there are none.

        The window before the change counts as touched too: it was the newest one, which decided nothing yet.
        """
        first = changes.groupBy("device_id").agg(F.min("window_start").alias("first")).localCheckpoint()
        span = first.agg(F.min("first"), F.count(F.lit(1))).first()
        if span is None or span[0] is None:
            return None
        devices = F.broadcast(first)
        since = self._anchors(devices, fleet, read)
        low = since.agg(F.min("since"), F.count_if(F.col("since").isNull())).first()
        # Where nothing was ever quiet all counts. Spark hands times over in the machine's local time, without a zone.
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

        return Region(source, sink, trim=trim)

    def whole(self) -> Region:
        """All episodes of all devices."""
        return Region(lambda _, rows: rows, lambda rows: rows)

    def orphans(self, stored: DataFrame, sources: Sequence[DataFrame]) -> DataFrame:
        """device_id and time, in the form of source rows, of the stored episodes of devices without a source row."""
        there: DataFrame | None = None
        for rows in sources:
            devices = rows.select("device_id")
            there = devices if there is None else there.unionByName(devices)
        kept = stored.select("device_id", F.col("opened_at").alias("window_start"))
        return kept if there is None else kept.join(there.distinct(), "device_id", "left_anti")

    def _anchors(self, devices: DataFrame, fleet: Fleet, read: Read) -> DataFrame:
        """device_id, rule, since: the last quiet window before the one before the change; null when there is none."""
        rules = devices.sparkSession.createDataFrame([(rule,) for rule in sorted(fleet.alerts)], "rule string")
        open_pairs = devices.select("device_id").crossJoin(rules)
        found: DataFrame | None = None
        for look in (*_LOOKS, None):
            earlier = {table: _before(read(table), devices, look, fleet) for table in self.sources}
            signals = self.signals(earlier, fleet)
            order = Window.partitionBy("device_id", "rule").orderBy(F.col("window_start").desc())
            quiet = (
                signals.withColumn("back", F.row_number().over(order))
                .where((F.col("back") > 1) & definitely_closed(fleet))
                .groupBy("device_id", "rule")
                .agg(F.max("window_start").alias("since"))
            )
            anchors = open_pairs.join(quiet, ["device_id", "rule"], "left").localCheckpoint()
            settled = anchors if look is None else anchors.where(F.col("since").isNotNull())
            found = settled if found is None else found.unionByName(settled)
            if look is None or anchors.where(F.col("since").isNull()).isEmpty():
                break
            open_pairs = anchors.where(F.col("since").isNull()).drop("since")
        if found is None:
            return open_pairs.withColumn("since", F.lit(None).cast("timestamp"))
        return found.localCheckpoint()


def _before(rows: DataFrame, devices: DataFrame, look: int | None, fleet: Fleet) -> DataFrame:
    """The devices' rows before their first change; `look` long windows of them, all when None."""
    earlier = rows.join(devices, "device_id").where(F.col("window_start") < F.col("first"))
    if look is None:
        return earlier
    return earlier.where(F.col("window_start") >= F.col("first") - F.lit(timedelta(seconds=look * fleet.long_seconds)))
