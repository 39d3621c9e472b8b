"""Tables are a function of the accepted readings, whatever order, batches and lateness they come in."""

import random
from datetime import timedelta

import pytest
from pyspark.sql import functions as F

from sensor_streams.incremental.transactions import BatchTransaction, Writes, append
from sensor_streams.streams import BY_NAME
from tests.plant import ARRIVAL, COMPUTED, Plant, reading


@pytest.fixture
def followed(plant: Plant) -> Plant:
    """A plant with the tables of features."""
    plant.create("readings", *COMPUTED)
    return plant


def hour(device: str, at: int, minutes: range, value: float = 10) -> list[str]:
    """A reading a minute and sensor of one hour."""
    return [
        reading(device, sensor, f"{at:02d}:{minute:02d}:00", value + minute % 7)
        for minute in minutes
        for sensor in ("power", "temperature")
    ]


@pytest.mark.slow
def test_order_batches_lateness_offline_devices_and_wrong_clocks_change_no_result(followed: Plant) -> None:
    lines = [line for at in range(4) for line in hour("pump-1", at, range(60))]
    shuffled = random.Random(1).sample(lines, len(lines))
    followed.land("a.json", shuffled[:200])
    followed.land("b.json", [*shuffled[200:], *hour("pump-2", 1, range(30))])
    for name in ("a.json", "b.json"):
        followed.ingest(name)
        followed.follow()
    other = followed.read("sensor_features").where("device_id = 'pump-1'").collect()
    # A clock six hours ahead, a device that was offline for a day, readings a fortnight late: on other devices.
    ahead = reading("pump-3", "power", "2026-01-03T06:00:00Z", 5)
    followed.land("c.json", [ahead, *hour("pump-2", 0, range(60)), *hour("pump-2", 1, range(30, 60))])
    followed.land("d.json", hour("pump-4", 2, range(60)), ARRIVAL + timedelta(days=14))
    followed.ingest("c.json")
    followed.ingest("d.json")
    followed.follow()
    assert followed.differing() == []
    assert followed.reasons() == {"in_future": 1}
    assert followed.read("sensor_features").where("device_id = 'pump-1'").collect() == other
    counts = {
        r["device_id"]: r["n"]
        for r in followed.read("sensor_features").groupBy("device_id").agg(F.count("*").alias("n")).collect()
    }
    assert counts == {"pump-1": 480, "pump-2": 240, "pump-4": 120}
    # All of it again, from the first change on: nothing is left to write.
    before = [followed.version(name) for name in COMPUTED]
    followed._seen.clear()
    followed.follow()
    assert [followed.version(name) for name in COMPUTED] == before


@pytest.mark.slow
def test_a_late_reading_joins_two_sessions_and_changes_later_trends(followed: Plant) -> None:
    followed.land("a.json", [*hour("pump-1", 0, range(0, 10)), *hour("pump-1", 0, range(15, 30))])
    followed.ingest("a.json")
    followed.follow()
    assert followed.count("device_sessions") == 2
    later = followed.read("device_features").where("window_start = '2026-01-01 00:15:00'").first()
    followed.land("b.json", hour("pump-1", 0, range(10, 15), value=90))
    followed.ingest("b.json")
    followed.follow()
    assert followed.count("device_sessions") == 1, "one of the two rows is gone"
    again = followed.read("device_features").where("window_start = '2026-01-01 00:15:00'").first()
    assert later is not None
    assert again is not None
    assert again["power_mean"] == later["power_mean"]
    assert again["power_lookback_mean"] > later["power_lookback_mean"]
    assert followed.differing() == []


@pytest.mark.slow
def test_verify_finds_wrong_missing_and_extra_rows_and_rebuild_repairs_them(followed: Plant) -> None:
    from sensor_streams.rebuild import rebuild

    followed.land("a.json", hour("pump-1", 0, range(30)))
    followed.ingest("a.json")
    followed.follow("sensor_features")
    table = followed.catalog.handle("sensor_features")
    table.update("minute(window_start) = 3", {"mean": "mean + 0.001"})
    table.delete("minute(window_start) = 5 AND sensor = 'power'")
    table.update("minute(window_start) = 7 AND sensor = 'power'", {"window_start": "window_start + interval 9 hours"})
    found = {check.table: check for check in followed.verify()}["sensor_features"]
    assert found.differing == 5
    assert any("missing" in example for example in found.examples)
    writes = rebuild(followed.catalog, followed.fleet, "sensor_features")
    assert (writes.inserted, writes.updated, writes.deleted) == (2, 2, 1)
    # Two equal rows of one key meet one computed row; and nothing stands behind a row of another day.
    columns = BY_NAME["sensor_features"].columns(followed.fleet)
    row = followed.read("sensor_features").where("minute(window_start) = 9 AND sensor = 'power'")
    append(table, row.withColumn("window_start", F.expr("window_start + interval 9 hours")), columns, None)
    assert followed.process_all("sensor_features").writes == Writes(deleted=1), "as after a lost checkpoint"
    append(table, row, columns, None)
    check = followed.verify("sensor_features")[0]
    assert (check.rows, check.differing) == (61, 1)
    assert check.examples[0].endswith("stored twice")


@pytest.mark.slow
def test_a_replayed_batch_writes_the_current_content_of_its_source(followed: Plant) -> None:
    # Killed after its write and before it was known as done; until the replay the source moved on.
    def replay() -> Writes:
        return followed.process("sensor_features", followed.feed("readings"), BatchTransaction("query", 3)).writes

    followed.land("a.json", hour("pump-1", 0, range(2)))
    followed.ingest("a.json")
    assert replay() == Writes(inserted=4)
    followed.land("b.json", [reading("pump-1", "power", "00:00:30", 90)])
    followed.ingest("b.json")
    assert replay() == Writes(updated=1)
    assert replay() == Writes()
    assert followed.differing("sensor_features") == []


def test_a_new_optional_field_is_added_and_an_incompatible_type_is_refused(followed: Plant) -> None:
    from sensor_streams.errors import SchemaConflictError
    from sensor_streams.fleet import parse_fleet
    from tests.rows import FIXTURES

    text = (FIXTURES / "fleet.yml").read_text("utf-8")
    followed.land("a.json", hour("pump-1", 0, range(2)))
    followed.ingest("a.json")
    followed.fleet = parse_fleet(text.replace("{site: string}", "{site: string, line: long}"))
    followed.create("readings")
    followed.land("b.json", [reading("pump-1", "power", "00:30:00", 5, line=7)])
    followed.ingest("b.json")
    assert followed.count("readings", "line = 7") == 1
    assert followed.count("readings", "line IS NULL") == 4
    followed.fleet = parse_fleet(text.replace("{site: string}", "{site: double}"))
    with pytest.raises(SchemaConflictError, match="site is string in the table and double in the configuration"):
        followed.create("readings")
