"""A healthy plant has no findings, and preflight changes nothing."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dev.tests.preflight.broken import STREAMS, Copy, by_id, findings
from sensor_streams.maintenance import maintain
from sensor_streams.preflight.facts import CheckpointFacts, Nothing, TableFacts, Unknown
from sensor_streams.preflight.unchecked import unchecked_facts
from sensor_streams.rebuild import rebuild
from tests.plant import Plant

pytestmark = pytest.mark.xdist_group("preflight")
TABLES = ("readings", "readings_rejected", "ingested_files", "sensor_features")


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_plant_that_ran_is_healthy_and_preflight_changes_nothing(original: Plant, tmp_path: Path) -> None:
    copy = Copy.of(original, tmp_path, *TABLES)
    before = hashes(tmp_path)
    facts = copy.facts()
    assert findings(facts) == []
    assert list(unchecked_facts(facts)) == []
    assert hashes(tmp_path) == before
    assert len(before) > 50
    assert sorted(Path(place).name for place in facts.tables) == sorted(TABLES)
    readings = next(t for p, t in facts.tables.items() if p.endswith("/readings"))
    assert isinstance(readings, TableFacts)
    assert [(c.operation, c.app_version) for c in readings.history] == [
        ("MERGE", 1),
        ("MERGE", 0),
        ("CREATE TABLE", None),
    ]
    checkpoint = facts.checkpoints["sensor_features"]
    assert isinstance(checkpoint, CheckpointFacts)
    assert [(o.table_id, o.unread) for o in checkpoint.sources] == [(readings.table_id, readings.version + 1)]


def test_a_deployment_that_never_ran_is_healthy(original: Plant, tmp_path: Path) -> None:
    copy = Copy.of(original, tmp_path)
    copy.file.write_text("{}", "utf-8")
    # A killed CREATE leaves this; the stream removes it.
    (tmp_path / "tables/readings/_delta_log").mkdir(parents=True)
    (tmp_path / "tables/readings/_delta_log/.00000000000000000000.json.f00.tmp").write_text("{}", "utf-8")
    facts = copy.facts(checkpoints=str(tmp_path / "none"))
    assert findings(facts) == []
    assert list(unchecked_facts(facts)) == []
    assert {table.files for table in facts.tables.values() if isinstance(table, Nothing)} == {0}
    assert not (tmp_path / "none").exists()


def test_a_removed_checkpoint_or_an_uncommitted_last_batch_is_healthy(original: Plant, tmp_path: Path) -> None:
    copy = Copy.of(original, tmp_path)
    for left in ("commits/1", "commits/.1.crc"):
        (copy.checkpoint("readings") / "checkpoint" / left).unlink()
    assert copy.found() == {}
    assert copy.found(checkpoints=str(tmp_path / "none")) == {}


@pytest.mark.slow
def test_maintenance_is_not_a_second_writer(original: Plant, tmp_path: Path) -> None:
    copy = Copy.of(original, tmp_path, "sensor_features")
    copy.sql("OPTIMIZE {}", "sensor_features")
    copy.sql("ALTER TABLE {} ADD COLUMNS (fresh INT)", "sensor_features")
    windows = original.fleet.windows
    other = original.fleet.model_copy(update={"windows": windows.model_copy(update={"short": windows.long})})
    assert rebuild(copy.catalog, other, "sensor_features").total
    facts = copy.facts()
    features = next(t for p, t in facts.tables.items() if str(tmp_path) in p and isinstance(t, TableFacts))
    # The last commit says that the whole table was compared.
    assert [c.operation for c in features.history[:3]] == ["SET TBLPROPERTIES", "MERGE", "ADD COLUMNS"]
    assert [c.app for c in features.history[:2]] == ["whole-rebuild:sensor_features", "rebuild:sensor_features"]
    assert by_id(facts) == {}


@pytest.mark.slow
def test_maintenance_of_all_tables_leaves_them_healthy(original: Plant, tmp_path: Path) -> None:
    # With the tables of metrics: maintenance works on all tables.
    copy = Copy.of(original, tmp_path, *[place.name for place in (original.folder / "tables").iterdir()])
    later = datetime.now(UTC) + timedelta(days=31)
    settings = original.settings(checkpoints=str(tmp_path / "checkpoints"))
    report = maintain(copy.catalog, settings, original.fleet, now=later)
    assert sum(table.files_removed for table in report.tables) > 0
    facts = copy.facts(now=later.timestamp())
    assert by_id(facts) == {}
    operations = {c.operation for t in facts.tables.values() if isinstance(t, TableFacts) for c in t.history}
    assert {"OPTIMIZE", "VACUUM START", "VACUUM END"} <= operations


def test_other_spellings_of_a_path_are_healthy(original: Plant, tmp_path: Path) -> None:
    copy = Copy.of(original, tmp_path / "a b", "readings")
    link = tmp_path / "link"
    link.symlink_to(copy.folder / "tables")
    place = copy.table("readings")
    for spelling in (
        f"{link}/readings/",
        f"file://{place}",
        f"file:{tmp_path}//a b/./tables/readings",
        f"file:{tmp_path}/link/../link/readings",
    ):
        copy.point_entry(copy.name("readings"), spelling)
        assert copy.found(landing=f"{original.landing}/", tables=f"{link}/") == {}, spelling


def test_an_unknown_table_is_reported_and_is_not_a_finding(original: Plant, tmp_path: Path) -> None:
    copy = Copy.of(original, tmp_path)
    copy.point_entry(copy.name("readings"), "nosuch://bucket/readings")
    [moved] = findings(copy.facts())
    assert (moved.check, moved.subject) == ("location.moved", copy.name("readings"))
    assert "a table that could not be read" in moved.found
    for stream in STREAMS:
        copy.bind(stream, "readings", "nosuch://bucket/readings")
    facts = copy.facts()
    [unchecked] = unchecked_facts(facts)
    assert unchecked.subject == "nosuch://bucket/readings"
    assert "nosuch" in unchecked.because
    copy.file.write_text("{half", "utf-8")
    facts = copy.facts()
    assert {type(entry) for entry in facts.entries.values()} == {Unknown}
    assert findings(facts) == []
    assert {one.subject for one in unchecked_facts(facts)} == {*TABLES, "nosuch://bucket/readings"}


def test_entries_are_read_from_the_catalog_of_the_session(original: Plant, tmp_path: Path) -> None:
    copy = Copy.of(original, tmp_path, "readings")
    assert copy.catalog.exists("readings"), "this registers the entries in the session"
    own = replace(copy.catalog, entries=None)
    assert by_id(copy.facts(catalog=own)) == {}
    copy.point_entry(copy.name("readings"), tmp_path / "nowhere")
    assert copy.catalog.exists("readings"), "an entry with a missing path exists"
    assert by_id(copy.facts(catalog=own)) == {"location.nothing-there": {"readings"}}
    (tmp_path / "nowhere").mkdir()
    copy.spark.sql(f"DROP TABLE {copy.name('ingested_files')}")
    copy.spark.sql(f"CREATE VIEW {copy.name('ingested_files')} AS SELECT 1 AS n")
    copy.spark.sql(f"DROP TABLE {copy.name('readings_rejected')}")
    assert by_id(copy.facts(catalog=own)) == {
        "location.nothing-there": {"readings"},
        "location.not-a-table": {"ingested_files"},
        "location.no-entry": {"readings_rejected"},
    }
    copy.spark.sql(f"DROP VIEW {copy.name('ingested_files')}")
    assert list((tmp_path / "nowhere").iterdir()) == []
