"""Tables that reject a stream's writes, or that another writer has changed."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dev.tests.preflight.broken import Copy, by_id
from sensor_streams.incremental.transactions import Writes
from sensor_streams.preflight.facts import TableFacts
from sensor_streams.rebuild import rebuild
from tests.plant import Plant

pytestmark = [pytest.mark.xdist_group("preflight"), pytest.mark.slow]


@pytest.fixture
def copy(original: Plant, tmp_path: Path) -> Copy:
    """A copy whose features a test may change."""
    return Copy.of(original, tmp_path, "sensor_features")


def test_a_second_writer_is_found_also_after_maintenance(copy: Copy) -> None:
    copy.sql("INSERT INTO {0} SELECT * FROM {0} LIMIT 1", "sensor_features")
    copy.sql("OPTIMIZE {}", "sensor_features")
    found = copy.only("sink.second-writer")
    assert "WRITE" in found.found
    assert "another program" in found.found


def test_a_rebuild_of_the_whole_table_settles_what_another_program_wrote(copy: Copy) -> None:
    copy.sql("INSERT INTO {0} SELECT * FROM {0} LIMIT 1", "sensor_features")
    assert "`sensor-streams rebuild sensor_features`" in copy.only("sink.second-writer").remedy
    now = datetime.now(UTC)
    rebuild(copy.catalog, copy.plant.fleet, "sensor_features", now, now + timedelta(days=1))
    assert copy.found() == {"sink.second-writer": {"sensor_features"}}
    rebuild(copy.catalog, copy.plant.fleet, "sensor_features")
    assert copy.found() == {}
    # A rebuild that finds nothing to repair settles it too, but not what comes later.
    copy.sql("DELETE FROM {} WHERE sensor = 'power'", "sensor_features")
    rebuild(copy.catalog, copy.plant.fleet, "sensor_features")
    assert rebuild(copy.catalog, copy.plant.fleet, "sensor_features") == Writes()
    assert copy.found() == {}
    copy.sql("INSERT INTO {0} SELECT * FROM {0} LIMIT 1", "sensor_features")
    assert copy.found() == {"sink.second-writer": {"sensor_features"}}


def test_a_second_writer_is_found_if_no_commit_of_the_stream_is_left_in_the_history(copy: Copy) -> None:
    facts = copy.facts()
    place, table = next((p, t) for p, t in facts.tables.items() if str(copy.folder) in p and isinstance(t, TableFacts))
    foreign = [replace(table.history[0], version=version, app=None, app_version=None) for version in range(149, 49, -1)]
    busy = replace(table, version=149, earliest=50, history=foreign, transactions={})
    assert by_id(replace(facts, tables={**facts.tables, place: busy})) == {"sink.second-writer": {"sensor_features"}}
    # With the whole history known, the stream has not written yet, and the commits are older.
    filled = replace(busy, history=[*foreign, replace(foreign[-1], version=0)])
    assert by_id(replace(facts, tables={**facts.tables, place: filled})) == {}


def test_a_restored_table_is_found_with_the_statement_that_undoes_it(copy: Copy) -> None:
    copy.sql("RESTORE {} TO VERSION AS OF 1", "sensor_features")
    found = copy.only("sink.restored")
    assert found.command == f"RESTORE TABLE {copy.name('sensor_features')} TO VERSION AS OF 2"
    copy.sql("RESTORE {} TO VERSION AS OF 2", "sensor_features")


def test_a_checkpoint_older_than_its_table_is_found(copy: Copy) -> None:
    for log in ("offsets", "commits"):
        (copy.checkpoint("sensor_features") / "checkpoint" / log / "1").unlink()
    found = copy.only("sink.transaction-ahead")
    assert "has batch 1 of stream sensor_features, whose checkpoint ends at batch 0" in found.found


def test_a_commit_of_the_same_stream_with_another_checkpoint_is_a_second_writer(copy: Copy) -> None:
    metadata = copy.checkpoint("sensor_features") / "checkpoint/metadata"
    own = json.loads(metadata.read_text("utf-8"))["id"]
    # Now the last batch belongs to another checkpoint.
    copy.rewrite(copy.log("sensor_features", 2), lambda text: text.replace(own, "b0b0"))
    assert "sensor_features with another checkpoint" in copy.only("sink.second-writer").found
    # A new checkpoint without commits: those of earlier checkpoints are not foreign.
    copy.rewrite(metadata, lambda text: text.replace(own, "new"))
    assert copy.found() == {}


def test_properties_that_harm_a_stream_are_found(copy: Copy) -> None:
    for statement, expected in (
        ("ADD CONSTRAINT busy CHECK (device_id != '')", "sink.constraint"),
        ("DROP CONSTRAINT busy", None),
        ("SET TBLPROPERTIES ('delta.appendOnly' = 'true')", "sink.append-only"),
        ("UNSET TBLPROPERTIES ('delta.appendOnly')", None),
        ("UNSET TBLPROPERTIES ('delta.deletedFileRetentionDuration')", "sink.retention"),
        ("SET TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 4 weeks')", "sink.retention"),
        (
            "SET TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 5 weeks', "
            "'delta.logRetentionDuration' = 'interval 5 weeks')",
            None,
        ),
        ("SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'false')", "sink.change-feed-off"),
    ):
        copy.sql(f"ALTER TABLE {{}} {statement}", "sensor_features")
        assert copy.found() == ({expected: {"sensor_features"}} if expected else {}), statement


def test_a_table_feature_that_this_runtime_cannot_write_is_found(copy: Copy) -> None:
    first = [json.loads(line) for line in copy.log("sensor_features", 0).read_text("utf-8").splitlines()]
    protocol = next(action["protocol"] for action in first if "protocol" in action)
    features = [*protocol["writerFeatures"], "madeUp"]
    copy.commit("sensor_features", {"protocol": {**protocol, "writerFeatures": features}})
    assert copy.only("sink.protocol").found == "it needs the table features madeUp"
