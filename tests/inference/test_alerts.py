"""Alert episodes and their events."""

from collections.abc import Callable

from chispa import assert_df_equality
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.inference.alert_events import EPISODE as KEY
from sensor_streams.inference.alert_events import alert_events
from sensor_streams.inference.alerts import alerts
from tests.rows import frame

Table = Callable[[str], DataFrame]
EPISODE = (
    "device_id string|rule string|opened_at timestamp|state string|peak double|peak_at timestamp"
    "|resolved_at timestamp|windows int"
)
EVENT = EPISODE.replace("|state", "|number int|kind string|state")
NONE = "a|unusual|2026-01-01 00:00:00|||||"
OPEN = "a|unusual|2026-01-01 00:00:00|OPEN|3|2026-01-01 00:05:00||2"
HIGHER = "a|unusual|2026-01-01 00:00:00|OPEN|4|2026-01-01 00:10:00||3"
OVER = "a|unusual|2026-01-01 00:00:00|RESOLVED|3|2026-01-01 00:05:00|2026-01-01 00:15:00|2"


def test_episodes_have_hysteresis_and_a_minimum_duration_and_ignore_the_newest_window(
    delta: Table, fleet: Fleet
) -> None:
    # In the fixture one high window is not an alert, and an episode goes on between close and open. The 0.1 at the end
    # of `a` is the newest window and resolves nothing. `b` has only a newest window.
    assert_df_equality(alerts(delta("signals"), fleet), delta("alerts"), ignore_row_order=True, ignore_nullable=True)


def test_episodes_can_be_computed_from_any_closed_window_on(delta: Table, fleet: Fleet) -> None:
    rows = delta("signals").where("device_id = 'a' AND rule = 'unusual'")
    whole = alerts(rows, fleet).where("opened_at > '2026-01-01 00:35:00'")
    part = alerts(rows.where("window_start >= '2026-01-01 00:35:00'"), fleet)
    assert_df_equality(part, whole, ignore_row_order=True, ignore_nullable=True)
    assert part.count() == 1


def new_events(spark: SparkSession, episode: str, events: DataFrame) -> list[str]:
    """Return number, kind and state of the events that an episode adds to `events`."""
    rows = alert_events(frame(spark, f"{EPISODE}\n{episode}"), events).orderBy("number").collect()
    return [f"{row['number']} {row['kind']} {row['state']}" for row in rows]


def test_each_change_of_an_episode_is_one_event(spark: SparkSession) -> None:
    none = frame(spark, EVENT).limit(0)
    opened = frame(spark, f"{EVENT}\n{OPEN.replace('|OPEN', '|1|OPENED|OPEN')}")
    over = frame(spark, f"{EVENT}\n{OVER.replace('|RESOLVED', '|2|RESOLVED|RESOLVED')}")
    gone = frame(spark, f"{EVENT}\n{OPEN.replace('|OPEN', '|3|WITHDRAWN|OPEN')}")
    assert new_events(spark, OPEN, none) == ["1 OPENED OPEN"]
    assert new_events(spark, OVER, none) == ["1 OPENED OPEN", "2 RESOLVED RESOLVED"]
    assert new_events(spark, NONE, none) == []
    assert new_events(spark, OPEN, opened) == []
    assert new_events(spark, OPEN[:-1] + "9", opened) == [], "an episode that goes on adds nothing"
    assert new_events(spark, HIGHER, opened) == ["2 UPDATED OPEN"]
    assert new_events(spark, OVER, opened) == ["2 RESOLVED RESOLVED"]
    assert new_events(spark, NONE, opened) == ["2 WITHDRAWN OPEN"]
    assert new_events(spark, OVER, over) == []
    assert new_events(spark, OPEN, over) == ["3 UPDATED OPEN"]
    assert new_events(spark, NONE, gone) == []
    assert new_events(spark, OPEN, gone) == ["4 OPENED OPEN"]
    assert new_events(spark, OVER, gone) == ["4 OPENED OPEN", "5 RESOLVED RESOLVED"]


def test_the_last_event_equals_the_episode_after_any_history(spark: SparkSession) -> None:
    histories: list[list[str]] = []

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(st.lists(st.sampled_from([NONE, OPEN, HIGHER, OVER]), min_size=4, max_size=4))
    def generate(history: list[str]) -> None:
        histories.append(history)

    generate()
    assert len({tuple(history) for history in histories}) > 100
    events = frame(spark, EVENT).limit(0)
    for step in range(4):
        now = [h[step].replace("a|unusual", f"d{i}|unusual", 1) for i, h in enumerate(histories)]
        episodes = frame(spark, "\n".join([EPISODE, *now])).localCheckpoint()
        events = events.unionByName(alert_events(episodes, events)).localCheckpoint()
        assert alert_events(episodes, events).isEmpty(), "the same episode again adds nothing"
        last = events.groupBy(*KEY).agg(F.max_by(F.struct("kind", "state", "peak", "resolved_at"), "number").alias("e"))
        folded = last.where("e.kind != 'WITHDRAWN'").select(*KEY, "e.state", "e.peak", "e.resolved_at")
        expected = episodes.where("state IS NOT NULL").select(*KEY, "state", "peak", "resolved_at")
        assert folded.exceptAll(expected).isEmpty()
        assert expected.exceptAll(folded).isEmpty()
    numbers = events.groupBy(*KEY).agg(F.max("number").alias("most"), F.count("*").alias("n"))
    assert numbers.where("most != n").isEmpty()
