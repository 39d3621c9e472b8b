"""Sources whose history no longer matches the checkpoint."""

import re
import time
from pathlib import Path

import pytest

from dev.tests.preflight.broken import Copy, by_id
from tests.plant import Plant

pytestmark = pytest.mark.xdist_group("preflight")
DAY = 86400


@pytest.fixture
def copy(original: Plant, tmp_path: Path) -> Copy:
    """A copy whose readings and offsets a test may change."""
    return Copy.of(original, tmp_path, "readings")


def read_to(copy: Copy, version: int) -> None:
    """Set the offset of the features to a version of the readings."""
    copy.rewrite(
        copy.checkpoint("sensor_features") / "checkpoint/offsets/1",
        lambda text: re.sub(r'"reservoirVersion":\d+', f'"reservoirVersion":{version}', text),
    )


def test_an_offset_of_another_table_is_found(copy: Copy) -> None:
    copy.rewrite(
        copy.checkpoint("sensor_features") / "checkpoint/offsets/1",
        lambda text: re.sub(r'"reservoirId":"[^"]+"', '"reservoirId":"b0b0"', text),
    )
    found = copy.only("source.other-table")
    assert found.subject == copy.name("readings")
    assert "table b0b0, which stream sensor_features has read" in found.expected


def test_an_offset_beyond_the_newest_version_is_found(copy: Copy) -> None:
    read_to(copy, 9)
    found = copy.only("source.restored").found
    assert "its newest version is 2, but stream sensor_features has read version 8" in found


@pytest.mark.slow
def test_an_offset_before_the_start_of_the_log_is_found(copy: Copy) -> None:
    read_to(copy, 1)
    assert copy.found() == {}, "unread changes exist"
    jvm = copy.spark._jvm
    assert jvm is not None
    place = str(copy.table("readings"))
    jvm.org.apache.spark.sql.delta.DeltaLog.forTable(copy.spark._jsparkSession, place).checkpoint()
    for version in (0, 1):
        copy.log("readings", version).unlink()
    assert "the table's log begins at version 2" in copy.only("source.history-gone").found
    read_to(copy, 3)
    assert copy.found() == {}, "a stream that has read everything needs no old versions"


@pytest.mark.slow
def test_a_change_data_feed_that_was_off_is_found(copy: Copy) -> None:
    for value in ("false", "true"):
        copy.sql(f"ALTER TABLE {{}} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = '{value}')", "readings")
    assert "its change data feed was off for some time (version 3" in copy.only("source.history-gone").found
    read_to(copy, 5)
    assert copy.found() == {}


@pytest.mark.slow
def test_a_vacuum_of_unread_changes_is_found(copy: Copy) -> None:
    read_to(copy, 1)
    check = "spark.databricks.delta.retentionDurationCheck.enabled"
    copy.spark.conf.set(check, "false")
    try:
        copy.sql("VACUUM {} RETAIN 0 HOURS", "readings")
    finally:
        copy.spark.conf.unset(check)
    assert "has not read version 1; version 3, VACUUM START" in copy.only("source.vacuumed").found
    read_to(copy, 3)
    assert copy.found() == {}


def test_a_lag_longer_than_the_retention_of_the_source_is_found(copy: Copy) -> None:
    later = time.time() + 31 * DAY
    assert copy.found(now=later) == {}, "a stream that has read everything does not lag"
    read_to(copy, 2)
    facts = copy.facts(now=later)
    assert by_id(facts) == {"checkpoint.older-than-history": {"sensor_features"}}
    assert copy.found(now=later - 2 * DAY) == {}
