"""Events of alert episodes: what is new about an episode, compared with what was told already."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.incremental.difference import same_number
from sensor_streams.inference.alerts import PEAK
from sensor_streams.table_spec import Columns

KEY = ("device_id", "rule", "opened_at")
OPENED, UPDATED, RESOLVED, WITHDRAWN = "OPENED", "UPDATED", "RESOLVED", "WITHDRAWN"
_TOLD = ("state", "peak", "peak_at", "resolved_at", "windows")


def columns(_: Fleet) -> Columns:
    """The columns of `alert_events`."""
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
    """device_id, rule, opened_at of the episodes that, as far as was told, are there."""
    last = events.groupBy(*KEY).agg(F.max_by("kind", "number").alias("kind"))
    return last.where(F.col("kind") != WITHDRAWN).select(*KEY)


def alert_events(changed: DataFrame, events: DataFrame) -> DataFrame:
    """The events to append, without `recorded_at`.

    changed: one row per episode that may have changed, the columns of `alerts`; all but the key are null when the
    episode exists no longer. events: those that are written, of the same episodes.
    Out: number (from 1, per episode), kind and the episode as it is now (for WITHDRAWN: as it was told last).

    Not yet told, or withdrawn and back: OPENED, and RESOLVED at once when it is over already. Over now: RESOLVED.
    Open again, or another peak or end: UPDATED. Gone: WITHDRAWN. That an episode merely lasts is no event.
    Compared with the events and not with the change that came, so a replay finds nothing left to tell.
    """
    last = events.groupBy(*KEY).agg(
        F.max("number").alias("last_number"),
        F.max_by(F.struct("kind", *_TOLD), "number").alias("last"),
    )
    joined = changed.join(last, list(KEY), "left")
    there, before = F.col("state").isNotNull(), F.col("last.kind")
    told = before.isNotNull() & (before != WITHDRAWN)
    resolved = F.col("state") == "RESOLVED"
    was_open = F.col("last.state") == "OPEN"
    kinds = (
        F.when(there & ~told & resolved, F.array(F.lit(OPENED), F.lit(RESOLVED)))
        .when(there & ~told, F.array(F.lit(OPENED)))
        .when(~there & told, F.array(F.lit(WITHDRAWN)))
        .when(there & resolved & was_open, F.array(F.lit(RESOLVED)))
        .when(there & ~_same(), F.array(F.lit(UPDATED)))
    )
    new = joined.select(
        *KEY,
        F.coalesce("last_number", F.lit(0)).alias("last_number"),
        F.posexplode(kinds).alias("at", "kind"),
        *[F.coalesce(F.col(n), F.col(f"last.{n}")).alias(n) if n != "resolved_at" else _end().alias(n) for n in _TOLD],
    )
    # An episode that is told after its end was open first.
    opened = (F.col("kind") == OPENED) & (F.col("state") == "RESOLVED")
    return new.select(
        *KEY,
        (F.col("last_number") + F.col("at") + 1).cast("int").alias("number"),
        "kind",
        F.when(opened, "OPEN").otherwise(F.col("state")).alias("state"),
        "peak",
        "peak_at",
        F.when(~opened, F.col("resolved_at")).alias("resolved_at"),
        "windows",
    )


def _end() -> Column:
    """When the episode ended: as it is now; as told last when it is gone."""
    return F.when(F.col("state").isNotNull(), F.col("resolved_at")).otherwise(F.col("last.resolved_at"))


def _same() -> Column:
    return (
        (F.col("state") == F.col("last.state"))
        & F.expr(same_number("peak", "last.peak", PEAK))
        & F.col("peak_at").eqNullSafe(F.col("last.peak_at"))
        & F.col("resolved_at").eqNullSafe(F.col("last.resolved_at"))
    )
