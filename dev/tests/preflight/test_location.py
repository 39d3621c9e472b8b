"""Tables at another path than their entry or their streams' checkpoints have."""

import json
import shutil
from pathlib import Path

import pytest

from dev.tests.preflight.broken import Copy, by_id, findings
from sensor_streams.streams import BY_NAME
from tests.plant import Plant

pytestmark = pytest.mark.xdist_group("preflight")


@pytest.fixture
def copy(original: Plant, tmp_path: Path) -> Copy:
    """A copy whose readings a test may move."""
    return Copy.of(original, tmp_path, "readings")


def append_plainly(copy: Copy, place: Path) -> None:
    """Append to readings by name with a plain `toTable` stream."""
    assert copy.catalog.exists("readings")
    rows = copy.spark.readStream.format("delta").load(str(copy.plant.folder / "tables/readings"))
    query = (
        rows.writeStream.format("delta")
        .option("checkpointLocation", str(place.parent / "plain"))
        .trigger(availableNow=True)
        .toTable(copy.name("readings"))
    )
    assert query.awaitTermination(120)
    assert (place / "_delta_log").exists()


def test_an_entry_with_an_empty_path_is_found_with_the_path_of_the_data(copy: Copy, tmp_path: Path) -> None:
    copy.point_entry(copy.name("readings"), tmp_path / "A")
    found = copy.only("location.nothing-there")
    assert found.subject == copy.name("readings")
    data = f"file:{copy.table('readings')}"
    assert found.found == f"the entry points to {tmp_path}/A, which has no table; the data is at {data}"
    assert found.command == f'in {copy.file}, entry "{copy.name("readings")}": "location": "{data}"'
    assert not (tmp_path / "A").exists()
    copy.point_entry(copy.name("readings"), copy.table("readings"))
    assert copy.found() == {}


def test_a_moved_table_is_found(copy: Copy, tmp_path: Path) -> None:
    shutil.move(copy.table("readings"), tmp_path / "moved")
    assert "no other known path has its data" in copy.only("location.nothing-there").found
    copy.point_entry(copy.name("readings"), tmp_path / "moved")
    assert "which contains the same table" in copy.only("location.moved").found


@pytest.mark.slow
def test_a_second_table_created_by_a_plain_stream_is_found(copy: Copy, tmp_path: Path) -> None:
    copy.point_entry(copy.name("readings"), tmp_path / "A")
    append_plainly(copy, tmp_path / "A")
    assert copy.found() == {
        "location.moved": {"readings"},
        "source.other-table": {"readings"},
        "sink.change-feed-off": {"readings"},
        "schema.partition": {"readings"},
    }


def test_an_entry_that_points_to_a_copy_is_found(copy: Copy, tmp_path: Path) -> None:
    shutil.copytree(copy.table("readings"), tmp_path / "A")
    copy.point_entry(copy.name("readings"), tmp_path / "A")
    assert "which contains a copy (version 2)" in copy.only("location.stale-copy").found
    # One that was made before the last batch.
    shutil.copytree(copy.table("readings"), tmp_path / "B")
    for file in (tmp_path / "B/_delta_log").glob("*2.*"):
        file.unlink()
    copy.point_entry(copy.name("readings"), tmp_path / "B")
    assert copy.found() == {"location.stale-copy": {"readings"}, "source.restored": {"readings"}}


@pytest.mark.slow
def test_a_fork_is_found_from_either_side(copy: Copy, tmp_path: Path) -> None:
    shutil.copytree(copy.table("readings"), tmp_path / "A")
    copy.point_entry(copy.name("readings"), tmp_path / "A")
    append_plainly(copy, tmp_path / "A")
    assert copy.found() == {"location.fork": {"readings"}, "sink.second-writer": {"readings"}}
    # Entry and bindings point to the copy, but another writer uses the configured path.
    shutil.copytree(copy.table("readings"), tmp_path / "B")
    copy.point_entry(copy.name("readings"), tmp_path / "B")
    for stream in ("readings", "sensor_features"):
        copy.bind(stream, "readings", str(tmp_path / "B"))
    assert copy.found() == {}
    copy.sql("INSERT INTO {0} SELECT * FROM {0} LIMIT 1", "readings")
    assert "version 3 (1 more commits, the last: version 3, WRITE" in copy.only("location.stale-copy").expected


def test_a_table_that_was_dropped_and_created_again_is_found(copy: Copy) -> None:
    assert copy.catalog.exists("readings")
    copy.spark.sql(f"DROP TABLE {copy.name('readings')}")
    shutil.rmtree(copy.table("readings"))
    copy.remove_entry("readings")
    copy.catalog.create(BY_NAME["readings"].table(copy.plant.fleet))
    assert copy.found() == {"location.recreated": {"readings"}, "source.other-table": {"readings"}}


def test_data_without_an_entry_is_found_with_or_without_a_checkpoint(copy: Copy, tmp_path: Path) -> None:
    entries = json.loads(copy.file.read_text("utf-8"))
    del entries[copy.name("readings")]
    copy.file.write_text(json.dumps(entries), "utf-8")
    finding = copy.only("location.no-entry")
    assert (
        finding.command == f"CREATE TABLE {copy.name('readings')} USING delta LOCATION 'file:{copy.table('readings')}'"
    )
    facts = copy.facts(checkpoints=str(tmp_path / "none"))
    assert by_id(facts) == {"location.no-entry": {"readings"}}
    stray = tmp_path / "other/readings/a.txt"
    stray.parent.mkdir(parents=True)
    stray.touch()
    facts = copy.facts(checkpoints=str(tmp_path / "none"), tables=str(tmp_path / "other"))
    assert by_id(facts) == {"location.occupied": {"readings"}}


def test_shared_and_nested_paths_are_found(copy: Copy, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(copy.table("readings"))
    copy.point_entry("spark_catalog.else.twin", tmp_path / "link")
    assert copy.only("location.shared").subject == f"spark_catalog.else.twin and {copy.name('readings')}"
    copy.point_entry("spark_catalog.else.twin", copy.table("readings") / "deep")
    assert copy.only("location.nested").subject == "spark_catalog.else.twin"
    copy.point_entry("spark_catalog.else.twin", f"{copy.table('readings')}-old")
    assert copy.found() == {}
    within = copy.table("readings") / "checkpoints"
    assert copy.only("location.nested", checkpoints=str(within)).subject == "the folder of the checkpoints"
    found = copy.found(landing=str(tmp_path / "tables"), checkpoints=str(tmp_path / "none"))
    assert found == {"location.nested": {"readings", "spark_catalog.else.twin"}}


def test_a_view_with_a_tables_name_is_found(copy: Copy) -> None:
    entries = json.loads(copy.file.read_text("utf-8"))
    entries[copy.name("readings")] = {"view_of": [copy.name("sensor_features")]}
    copy.file.write_text(json.dumps(entries), "utf-8")
    assert copy.only("location.not-a-table").subject == copy.name("readings")


@pytest.mark.slow
def test_a_missing_log_file_is_found(copy: Copy) -> None:
    copy.log("readings", 1).unlink()
    assert "Versions (0, 2) are not contiguous" in copy.only("location.damaged").found


def test_a_changed_landing_folder_is_found(copy: Copy, tmp_path: Path) -> None:
    found = copy.only("location.landing-moved", landing=str(tmp_path / "landing"))
    assert found.subject == "readings"
    assert str(copy.plant.landing) in found.expected


def test_texts_of_findings_are_plain(copy: Copy, tmp_path: Path) -> None:
    copy.point_entry(copy.name("readings"), tmp_path / "A")
    copy.point_entry("spark_catalog.else.twin", f"{copy.plant.folder}/tables/sensor_features")
    for finding in findings(copy.facts()):
        for text in (finding.found, finding.expected, finding.remedy):
            assert text
            assert not text.endswith(".")
            assert "TableFacts" not in text
