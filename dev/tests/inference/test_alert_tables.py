"""Alerts and their events as tables: ranges, and rows that were deleted before a checkpoint was lost."""

from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.incremental.transactions import append
from sensor_streams.rebuild import rebuild
from sensor_streams.streams import BY_NAME
from tests.plant import Plant
from tests.rows import rows

# In one process: the tests share a plant that takes a minute to build.
pytestmark = pytest.mark.xdist_group("alerts")


@pytest.fixture(scope="module")
def with_alerts(spark: SparkSession, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """Return a plant with the scores of the fixture `signals` for devices `a` and `b`, their alerts and events."""
    plant = Plant(spark, fleet, tmp_path_factory.mktemp("alerts"))
    plant.create("anomaly_scores", "remaining_life", "alerts", "alert_events")
    signals = rows(plant.spark, "signals").where("device_id = 'a'")
    signals = signals.unionByName(signals.withColumn("device_id", F.lit("b")))
    for table, rule, value in (("anomaly_scores", "unusual", "score"), ("remaining_life", "wearing_out", "life_hours")):
        given = signals.where(F.col("rule") == rule).withColumnRenamed("value", value)
        given = given.withColumn("window_date", F.to_date("window_start")).withColumn("model_version", F.lit("1"))
        columns = BY_NAME[table].columns(plant.fleet)
        missing = [(name, kind) for name, kind in columns if name not in given.columns]
        given = given.select("*", *[F.lit(None).cast(kind).alias(name) for name, kind in missing])
        append(plant.catalog.handle(table), given.select(*[name for name, _ in columns]), columns, None)
    plant.process_all("alerts")
    plant.process_all("alert_events")
    return plant


def test_a_range_of_alerts_can_be_verified_and_rebuilt(with_alerts: Plant) -> None:
    # Two episodes of one device and rule: 00:15 to 00:35, and from 00:40 on.
    low = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
    assert with_alerts.count("alerts", "rule = 'unusual' AND device_id = 'a'") == 2
    assert [(check.rows, check.differing) for check in with_alerts.verify("alerts", low=low)] == [(2, 0)]
    assert rebuild(with_alerts.catalog, with_alerts.fleet, "alerts", None, low).total == 0


@pytest.mark.slow
def test_an_alert_whose_scores_were_deleted_before_a_checkpoint_was_lost_is_withdrawn(with_alerts: Plant) -> None:
    # The feed of a new checkpoint begins with the current rows, without the deletes before.
    for table in ("anomaly_scores", "remaining_life"):
        with_alerts.catalog.handle(table).delete("device_id = 'b'")
    with_alerts.process_all("alerts")
    assert with_alerts.count("alerts", "device_id = 'b'") == 0
    assert with_alerts.count("alerts") == 3
    with_alerts.process_all("alert_events")
    assert with_alerts.count("alert_events", "kind = 'WITHDRAWN' AND device_id = 'b'") == 3
    assert with_alerts.count("alert_events", "kind = 'WITHDRAWN'") == 3
    assert with_alerts.differing("alerts", "alert_events") == []
