"""A table that is not where the catalog says, or not where its streams left it."""

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
    """A copy whose readings may be moved."""
    return Copy.of(original, tmp_path, "readings")


def append_plainly(copy: Copy, place: Path) -> None:
    """What a stream does that is not one of ours: `toTable` by the name of readings, of whose rows there are more."""
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


def test_an_entry_that_leads_to_an_empty_place_is_told_with_the_place_of_the_data(copy: Copy, tmp_path: Path) -> None:
    # The incident: the entry says A, the data is at B.
    copy.enter(copy.name("readings"), tmp_path / "A")
    found = copy.says("location.nothing-there")
    assert found.subject == copy.name("readings")
    assert (
        found.found
        == f"the catalog says {tmp_path}/A, and there is no table there; the data is at file:{copy.table('readings')}"
    )
    assert (
        found.command == f'in {copy.file}, entry "{copy.name("readings")}": "location": "file:{copy.table("readings")}"'
    )
    assert not (tmp_path / "A").exists()
    copy.enter(copy.name("readings"), copy.table("readings"))
    assert copy.found() == {}


def test_a_table_whose_folder_was_moved_away_is_told(copy: Copy, tmp_path: Path) -> None:
    shutil.move(copy.table("readings"), tmp_path / "moved")
    assert "nor is its data at any other place that is known" in copy.says("location.nothing-there").found
    copy.enter(copy.name("readings"), tmp_path / "moved")
    assert "where the same table lies" in copy.says("location.moved").found


@pytest.mark.slow
def test_a_second_table_that_a_plain_stream_made_in_silence_is_told(copy: Copy, tmp_path: Path) -> None:
    copy.enter(copy.name("readings"), tmp_path / "A")
    append_plainly(copy, tmp_path / "A")
    assert copy.found() == {
        "location.moved": {"readings"},
        "source.other-table": {"readings"},
        "sink.change-feed-off": {"readings"},
        "schema.partition": {"readings"},
    }


def test_a_copy_that_would_take_the_writes_is_told(copy: Copy, tmp_path: Path) -> None:
    shutil.copytree(copy.table("readings"), tmp_path / "A")
    copy.enter(copy.name("readings"), tmp_path / "A")
    assert "where a copy lies (version 2)" in copy.says("location.stale-copy").found
    # One that was made before the last batch.
    shutil.copytree(copy.table("readings"), tmp_path / "B")
    for file in (tmp_path / "B/_delta_log").glob("*2.*"):
        file.unlink()
    copy.enter(copy.name("readings"), tmp_path / "B")
    assert copy.found() == {"location.stale-copy": {"readings"}, "source.restored": {"readings"}}


@pytest.mark.slow
def test_a_fork_is_told_wherever_the_entry_leads(copy: Copy, tmp_path: Path) -> None:
    shutil.copytree(copy.table("readings"), tmp_path / "A")
    copy.enter(copy.name("readings"), tmp_path / "A")
    append_plainly(copy, tmp_path / "A")
    assert copy.found() == {"location.fork": {"readings"}, "sink.second-writer": {"readings"}}
    # All is bound to the copy, and somebody goes on writing where the layout has the table.
    shutil.copytree(copy.table("readings"), tmp_path / "B")
    copy.enter(copy.name("readings"), tmp_path / "B")
    for stream in ("readings", "sensor_features"):
        copy.bind(stream, "readings", str(tmp_path / "B"))
    assert copy.found() == {}
    copy.sql("INSERT INTO {0} SELECT * FROM {0} LIMIT 1", "readings")
    assert "version 3 (1 commits more, the last: version 3, WRITE" in copy.says("location.stale-copy").expected


def test_a_table_that_was_dropped_and_made_anew_at_its_place_is_told(copy: Copy) -> None:
    assert copy.catalog.exists("readings")
    copy.spark.sql(f"DROP TABLE {copy.name('readings')}")
    shutil.rmtree(copy.table("readings"))
    copy.leave("readings")
    copy.catalog.create(BY_NAME["readings"].table(copy.plant.fleet))
    assert copy.found() == {"location.recreated": {"readings"}, "source.other-table": {"readings"}}


def test_data_without_an_entry_is_told_whether_a_stream_is_bound_to_it_or_not(copy: Copy, tmp_path: Path) -> None:
    entries = json.loads(copy.file.read_text("utf-8"))
    del entries[copy.name("readings")]
    copy.file.write_text(json.dumps(entries), "utf-8")
    told = copy.says("location.no-entry")
    assert told.command == f"CREATE TABLE {copy.name('readings')} USING delta LOCATION 'file:{copy.table('readings')}'"
    facts = copy.facts(checkpoints=str(tmp_path / "none"))
    assert by_id(facts) == {"location.no-entry": {"readings"}}
    stray = tmp_path / "other/readings/a.txt"
    stray.parent.mkdir(parents=True)
    stray.touch()
    facts = copy.facts(checkpoints=str(tmp_path / "none"), tables=str(tmp_path / "other"))
    assert by_id(facts) == {"location.occupied": {"readings"}}


def test_two_names_on_one_place_and_a_place_within_another_are_told(copy: Copy, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(copy.table("readings"))
    copy.enter("spark_catalog.else.twin", tmp_path / "link")
    assert copy.says("location.shared").subject == f"spark_catalog.else.twin and {copy.name('readings')}"
    copy.enter("spark_catalog.else.twin", copy.table("readings") / "deep")
    assert copy.says("location.nested").subject == "spark_catalog.else.twin"
    copy.enter("spark_catalog.else.twin", f"{copy.table('readings')}-old")
    assert copy.found() == {}
    within = copy.table("readings") / "checkpoints"
    assert copy.says("location.nested", checkpoints=str(within)).subject == "the folder of the checkpoints"
    found = copy.found(landing=str(tmp_path / "tables"), checkpoints=str(tmp_path / "none"))
    assert found == {"location.nested": {"readings", "spark_catalog.else.twin"}}


def test_a_view_that_has_a_tables_name_is_told(copy: Copy) -> None:
    entries = json.loads(copy.file.read_text("utf-8"))
    entries[copy.name("readings")] = {"view_of": [copy.name("sensor_features")]}
    copy.file.write_text(json.dumps(entries), "utf-8")
    assert copy.says("location.not-a-table").subject == copy.name("readings")


@pytest.mark.slow
def test_a_log_that_lost_a_file_is_told(copy: Copy) -> None:
    copy.log("readings", 1).unlink()
    assert "Versions (0, 2) are not contiguous" in copy.says("location.damaged").found


def test_files_that_arrive_elsewhere_than_the_checkpoint_was_made_for_are_told(copy: Copy, tmp_path: Path) -> None:
    found = copy.says("location.landing-moved", landing=str(tmp_path / "landing"))
    assert found.subject == "readings"
    assert str(copy.plant.landing) in found.expected


def test_what_is_said_can_be_read_at_night(copy: Copy, tmp_path: Path) -> None:
    copy.enter(copy.name("readings"), tmp_path / "A")
    copy.enter("spark_catalog.else.twin", f"{copy.plant.folder}/tables/sensor_features")
    for finding in findings(copy.facts()):
        for text in (finding.found, finding.expected, finding.remedy):
            assert text
            assert not text.endswith(".")
            assert "TableFacts" not in text
