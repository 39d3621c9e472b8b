"""Tables that will not take what the streams write, or that somebody else has written."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dev.tests.preflight.broken import Copy, by_id
from sensor_streams.preflight.facts import TableFacts
from tests.plant import Plant

pytestmark = [pytest.mark.xdist_group("preflight"), pytest.mark.slow]


@pytest.fixture
def copy(original: Plant, tmp_path: Path) -> Copy:
    """A copy whose features may be changed."""
    return Copy.of(original, tmp_path, "sensor_features")


def test_a_second_writer_is_told_also_after_upkeep(copy: Copy) -> None:
    copy.sql("INSERT INTO {0} SELECT * FROM {0} LIMIT 1", "sensor_features")
    copy.sql("OPTIMIZE {}", "sensor_features")
    found = copy.says("sink.second-writer")
    assert "WRITE" in found.found
    assert "somebody who is no stream of this project" in found.found


def test_a_second_writer_that_was_so_busy_that_nothing_of_the_stream_is_left_to_see_is_told(copy: Copy) -> None:
    facts = copy.facts()
    place, table = next((p, t) for p, t in facts.tables.items() if str(copy.folder) in p and isinstance(t, TableFacts))
    strange = [replace(table.history[0], version=version, app=None, app_version=None) for version in range(149, 49, -1)]
    busy = replace(table, version=149, earliest=50, history=strange, transactions={})
    assert by_id(replace(facts, tables={**facts.tables, place: busy})) == {"sink.second-writer": {"sensor_features"}}
    # The same from the first version on: the stream has not begun to write what somebody has filled before it.
    filled = replace(busy, history=[*strange, replace(strange[-1], version=0)])
    assert by_id(replace(facts, tables={**facts.tables, place: filled})) == {}


def test_a_table_that_was_set_back_is_told_with_the_way_back(copy: Copy) -> None:
    copy.sql("RESTORE {} TO VERSION AS OF 1", "sensor_features")
    found = copy.says("sink.restored")
    assert found.command == f"RESTORE TABLE {copy.name('sensor_features')} TO VERSION AS OF 2"
    copy.sql("RESTORE {} TO VERSION AS OF 2", "sensor_features")


def test_a_checkpoint_that_is_older_than_what_it_wrote_is_told(copy: Copy) -> None:
    for log in ("offsets", "commits"):
        (copy.checkpoint("sensor_features") / "checkpoint" / log / "1").unlink()
    found = copy.says("sink.transaction-ahead")
    assert "holds batch 1 of stream sensor_features, whose checkpoint ends at batch 0" in found.found


def test_a_commit_of_the_same_stream_with_another_checkpoint_is_a_second_writer(copy: Copy) -> None:
    metadata = copy.checkpoint("sensor_features") / "checkpoint/metadata"
    own = json.loads(metadata.read_text("utf-8"))["id"]
    # The last batch is another checkpoint's now, and the one before it this one's.
    copy.rewrite(copy.log("sensor_features", 2), lambda text: text.replace(own, "b0b0"))
    assert "sensor_features with another checkpoint" in copy.says("sink.second-writer").found
    # A new checkpoint that has written nothing yet: what earlier ones wrote is no stranger's.
    copy.rewrite(metadata, lambda text: text.replace(own, "new"))
    assert copy.found() == {}


def test_what_a_table_refuses_is_told(copy: Copy) -> None:
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


def test_a_feature_that_this_runtime_cannot_write_is_told(copy: Copy) -> None:
    first = [json.loads(line) for line in copy.log("sensor_features", 0).read_text("utf-8").splitlines()]
    protocol = next(action["protocol"] for action in first if "protocol" in action)
    features = [*protocol["writerFeatures"], "madeUp"]
    copy.commit("sensor_features", {"protocol": {**protocol, "writerFeatures": features}})
    assert copy.says("sink.protocol").found == "it needs the table features madeUp"
