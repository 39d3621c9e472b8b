"""Names and locations of tables, and the conditions for creating one."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from sensor_streams.catalog_file import CatalogFile
from sensor_streams.errors import BindingError, ConfigurationError, MachineError, TableError
from sensor_streams.rebuild import rebuild
from sensor_streams.retention import FILES, LOG, RETENTION, missing_retention, retention
from sensor_streams.sql_names import sql_name
from sensor_streams.streams import BY_NAME
from sensor_streams.table_spec import TableIdentity, TableSpec
from sensor_streams.tables import Catalog
from sensor_streams.verify import skipped_streams
from tests.plant import Plant

SMALL = TableSpec("small", [("device_id", "string"), ("day", "date"), ("n", "long")], ("device_id",), "day")


def forget(plant: Plant, table: str) -> None:
    """Remove a table's entry but not its data: as after a kill, in a session without entries."""
    CatalogFile(plant.folder / "catalog.json").remove(f"spark_catalog.{plant.schema}.{table}")
    plant.catalog.exists(table)


def test_registering_a_name_never_writes_at_a_location(plant: Plant, tmp_path: Path) -> None:
    nowhere = tmp_path / "it's nowhere"
    entries = CatalogFile(tmp_path / "catalog.json")
    entries.add(TableIdentity(f"spark_catalog.{plant.schema}.lost", str(nowhere), "x"))
    entries.register(plant.spark)
    assert not nowhere.exists()
    assert plant.catalog.exists("lost")
    with pytest.raises(TableError, match="no Delta table is stored there"):
        plant.catalog.identify("lost")
    assert not nowhere.exists()


def test_a_stream_does_not_create_a_table_at_the_location_of_an_existing_entry(plant: Plant, tmp_path: Path) -> None:
    plant.create("readings")
    entries = CatalogFile(tmp_path / "catalog.json")
    name = f"spark_catalog.{plant.schema}.readings"
    entries.add(TableIdentity(name, str(tmp_path / "elsewhere"), "x"))
    with pytest.raises(TableError, match=r"readings: its catalog entry says .*elsewhere"):
        plant.create("readings")
    assert not (tmp_path / "elsewhere").exists()


def test_after_a_kill_between_table_creation_and_entry_the_table_is_adopted(plant: Plant, tmp_path: Path) -> None:
    created = plant.catalog.create(SMALL)
    forget(plant, "small")
    assert not plant.catalog.exists("small")
    assert plant.catalog.create(SMALL) == created
    assert CatalogFile(tmp_path / "catalog.json").location(created.name) == created.location
    assert len(list((tmp_path / "tables/small/_delta_log").glob("*.json"))) == 1, "nothing was written"
    # A kill before the first commit leaves the folder of the log.
    half = tmp_path / "tables/half/_delta_log"
    half.mkdir(parents=True)
    (half / ".00000000000000000000.json.f00.tmp").write_text("{}", "utf-8")
    assert plant.catalog.create(replace(SMALL, name="half")).location.endswith("/half")


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_table_is_not_created_over_data_without_an_entry(plant: Plant, scheme: str) -> None:
    catalog = replace(plant.catalog, root=f"{scheme}{plant.folder}/tables")
    catalog.create(SMALL)
    # Empty, and yet not what this stream makes: other columns, another partition, a later version.
    forget(plant, "small")
    for other in (replace(SMALL, columns=[*SMALL.columns, ("more", "string")]), replace(SMALL, partition=None)):
        with pytest.raises(TableError, match=r"is not in the catalog, but .* holds data"):
            catalog.create(other)
    catalog.create(SMALL)
    plant.spark.sql(f"INSERT INTO {catalog.full_name('small')} VALUES ('a', DATE '2026-01-01', 1)")
    forget(plant, "small")
    with pytest.raises(TableError, match=r"is not in the catalog, but .*/small holds data"):
        catalog.create(SMALL)
    stray = plant.folder / "tables" / "stray" / "a.txt"
    stray.parent.mkdir()
    stray.touch()
    with pytest.raises(TableError, match="holds data"):
        catalog.create(replace(SMALL, name="stray"))


def test_an_unreadable_location_is_an_error_in_one_line(plant: Plant) -> None:
    catalog = Catalog(plant.spark, "spark_catalog", plant.schema, "nosuch://bucket/x")
    with pytest.raises(MachineError, match=r"^nosuch://bucket/x/small: cannot be read: No FileSystem .*$"):
        catalog.create(SMALL)


def test_an_entry_without_a_table_is_the_same_error_without_a_catalog_file(plant: Plant) -> None:
    catalog = Catalog(plant.spark, "spark_catalog", plant.schema, str(plant.folder / "elsewhere"))
    catalog.create(SMALL)
    shutil.rmtree(plant.folder / "elsewhere" / "small")
    for use in (catalog.identify, catalog.read, catalog.handle, lambda _: catalog.create(SMALL)):
        with pytest.raises(TableError, match=r"its catalog entry says \S+/elsewhere/small, and no Delta table"):
            use("small")
    assert not (plant.folder / "elsewhere" / "small").exists()


def test_a_new_table_is_not_registered_again_and_its_schema_is_created_once(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant.catalog.create(SMALL)
    statements: list[str] = []
    real = SparkSession.sql

    def recorded(self: SparkSession, text: str, *rest: Any, **more: Any) -> Any:
        statements.append(text)
        return real(self, text, *rest, **more)

    monkeypatch.setattr(SparkSession, "sql", recorded)
    plant.catalog.identify("small")
    plant.catalog.create(replace(SMALL, name="second"))
    assert [text for text in statements if text.startswith(("DROP", "CREATE SCHEMA"))] == []
    assert len(statements) == 1


def test_a_catalog_file_needs_a_folder_of_tables(plant: Plant) -> None:
    # Dropping the entry of a managed table drops its data.
    with pytest.raises(ConfigurationError, match="set tables"):
        replace(plant.catalog, root=None)


def test_every_session_sees_a_view_and_tables_are_found_by_prefix(plant: Plant, tmp_path: Path) -> None:
    for name in ("part_b", "part_a", "other"):
        plant.catalog.create(replace(SMALL, name=name))
        plant.spark.sql(f"INSERT INTO {plant.catalog.full_name(name)} VALUES ('{name}', DATE '2026-01-01', 1)")
    plant.catalog.create_view("part_all", ["part_a", "part_b"])
    assert plant.count("part_all") == 2
    assert plant.catalog.tables_with_prefix("part_") == ["part_a", "part_b"]
    bare = replace(plant.catalog, entries=None)
    assert bare.tables_with_prefix("part_") == ["part_a", "part_b"]
    assert replace(bare, schema="nosuch").tables_with_prefix("part_") == []
    # A new session reads the file.
    plant.spark.sql(f"DROP VIEW {plant.catalog.full_name('part_all')}")
    plant.spark.sql(f"DROP TABLE {plant.catalog.full_name('part_a')}")
    fresh = replace(plant.catalog, spark=plant.spark.newSession(), entries=CatalogFile(tmp_path / "catalog.json"))
    assert {row["device_id"] for row in fresh.read("part_all").collect()} == {"part_a", "part_b"}
    # A broken view affects nothing else, and entries removed from the file are dropped.
    entries = json.loads((tmp_path / "catalog.json").read_text("utf-8"))
    entries[f"spark_catalog.{plant.schema}.broken"] = {"view_of": [f"spark_catalog.{plant.schema}.nosuch"]}
    del entries[f"spark_catalog.{plant.schema}.part_all"]
    (tmp_path / "catalog.json").write_text(json.dumps(entries), "utf-8")
    assert fresh.read("other").count() == 1
    with pytest.raises(TableError, match="part_all is not in the catalog"):
        fresh.read("part_all")


def test_verify_of_a_schema_without_tables_is_an_error_that_names_it(plant: Plant, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=rf"nothing to verify: schema spark_catalog.{plant.schema} .*catalog.json"):
        plant.verify()
    plant.create("readings")
    assert [check.table for check in plant.verify()] == ["readings"]
    assert skipped_streams(plant.catalog, ["readings", "sensor_features"]) == {"sensor_features": ["sensor_features"]}
    with pytest.raises(TableError, match="has no table for sensor_features"):
        plant.verify("sensor_features")


def test_a_rebuild_creates_no_table(plant: Plant) -> None:
    plant.create("readings")
    with pytest.raises(TableError, match=r"sensor_features is not in the catalog, .*: start the stream that writes it"):
        rebuild(plant.catalog, plant.fleet, "sensor_features")
    assert not plant.catalog.exists("sensor_features")


def test_a_reader_waits_for_its_table_and_names_a_missing_one(plant: Plant) -> None:
    with pytest.raises(TableError, match=r"device_features did not appear within 1 s: only the stream of that name"):
        plant.run("inference", table_deadline="1 s")
    assert not plant.catalog.exists("device_features")


def test_a_second_session_sees_a_table_that_another_session_created(plant: Plant, tmp_path: Path) -> None:
    plant.create("readings")
    fresh = CatalogFile(tmp_path / "catalog.json")
    other = Catalog(plant.spark.newSession(), "spark_catalog", plant.schema, str(tmp_path / "tables"), fresh)
    assert other.wait_for("readings", 1) == plant.catalog.identify("readings")


def test_two_tasks_on_one_driver_do_not_drop_each_others_entries(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "shared.json"
    for number in range(4):
        table = TableIdentity(f"spark_catalog.{plant.schema}.t{number}", f"file:{tmp_path}/there {number}", "x")
        CatalogFile(file).add(table)
    # Each task has its own record of registered entries, but they share the session's catalog.
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda entries: entries.register(plant.spark), [CatalogFile(file), CatalogFile(file)]))
    dropped: list[str] = []
    real = SparkSession.sql

    def recorded(self: SparkSession, text: str, *rest: Any, **more: Any) -> Any:
        dropped.extend([text] * text.startswith("DROP"))
        return real(self, text, *rest, **more)

    monkeypatch.setattr(SparkSession, "sql", recorded)
    CatalogFile(file).register(plant.spark)
    assert dropped == []
    moved = TableIdentity(f"spark_catalog.{plant.schema}.t0", f"file:{tmp_path}/elsewhere", "x")
    CatalogFile(file).add(moved)
    CatalogFile(file).register(plant.spark)
    assert len(dropped) == 1
    with pytest.raises(TableError, match="elsewhere"):
        Catalog(plant.spark, "spark_catalog", plant.schema).identify("t0")


def test_invalid_names_never_reach_sql(plant: Plant) -> None:
    for name in ("a b", "a`; drop table x", "../a", ""):
        with pytest.raises(TableError, match="is not a plain name"):
            plant.catalog.full_name(name)


def test_a_stream_refuses_to_start_when_its_names_point_to_other_tables_than_its_checkpoint(
    plant: Plant, tmp_path: Path
) -> None:
    # A table is created again at another location; the name follows it, the checkpoint does not.
    plant.land("a.json", [])
    plant.run("readings")
    before = plant.catalog.identify("readings")
    name = before.name
    plant.spark.sql(f"DROP TABLE {plant.catalog.full_name('readings')}")
    moved = Catalog(plant.spark, "spark_catalog", plant.schema, str(tmp_path / "moved"))
    created = moved.create(BY_NAME["readings"].table(plant.fleet))
    CatalogFile(tmp_path / "catalog.json").add(created)
    with pytest.raises(BindingError) as refused:
        plant.run("readings")
    text = str(refused.value)
    assert "stream readings does not start" in text
    assert f"sink readings: location was {before.location} and is {created.location}" in text
    assert f"sink readings: table id was {before.table_id} and is {created.table_id}" in text
    assert name in text or "name" not in text
    assert not (tmp_path / "checkpoints" / "readings" / "holder.json").exists()


def properties(plant: Plant, table: str) -> dict[str, str]:
    """The properties of a table."""
    return dict(plant.catalog.handle(table).detail().select("properties").collect()[0][0])


def test_new_and_existing_tables_keep_replaced_files_for_the_slowest_stream(plant: Plant) -> None:
    plant.catalog.create(SMALL)
    name = plant.catalog.full_name("small")
    new = {k: v for k, v in properties(plant, "small").items() if k in RETENTION}
    assert new == {FILES: "interval 30 days", LOG: "interval 30 days"}
    assert plant.catalog.open(SMALL)
    assert plant.version("small") == 0, "no commit if it is set already"
    # Tables of older versions, and values set by users: (files, log) before and after a start of the stream.
    for before, after in {
        (None, None): ("interval 30 days", "interval 30 days"),
        ("interval 1 week 2 hours", "interval 40 days"): ("interval 30 days", "interval 40 days"),
        ("interval 8 weeks", "interval 90 days"): ("interval 8 weeks", "interval 90 days"),
    }.items():
        set_now = [f"'{key}' = '{value}'" for key, value in zip((FILES, LOG), before, strict=True) if value]
        unset = f"UNSET TBLPROPERTIES IF EXISTS ('{FILES}', '{LOG}')"
        # One statement, because Delta compares both values.
        plant.spark.sql(f"ALTER TABLE {name} " + (f"SET TBLPROPERTIES ({', '.join(set_now)})" if set_now else unset))
        plant.catalog.open(SMALL)
        stored, version = properties(plant, "small"), plant.version("small")
        assert (stored[FILES], stored[LOG]) == after, before
        plant.catalog.open(SMALL)
        assert plant.version("small") == version, f"{before}: set once"


def test_retention_texts_are_read_as_delta_reads_them() -> None:
    for text, days in {
        "interval 1 week": 7,
        "INTERVAL 720 hours": 30,
        "30 days": 30,
        "interval 1 week 23 days": 30,
    }.items():
        assert retention({FILES: text}, FILES) == timedelta(days=days)
    assert retention({FILES: "interval 2 parsecs"}, FILES) is None
    assert missing_retention({FILES: "interval 2 parsecs", LOG: "interval 30 days"}) == {}, "unchanged"
    assert retention({}, FILES) == timedelta(days=7)
    kept = {FILES: "interval 60 days"}
    assert missing_retention(kept) == {LOG: "interval 60 days"}, "the log as long as the files"
    assert missing_retention({**kept, LOG: "interval 90 days"}) == {}


@pytest.mark.parametrize(("catalog", "schema"), [("acme-prod", "dev_joé_x"), ("3rd`", "a-b"), ("über", "s")])
def test_spark_reads_the_names_that_unity_catalog_accepts_unchanged(plant: Plant, catalog: str, schema: str) -> None:
    name = Catalog(plant.spark, catalog, schema).full_name("readings")
    parser: Any = plant.spark._jsparkSession.sessionState().sqlParser()
    parts = parser.parseMultipartIdentifier(name)
    assert [parts.apply(at) for at in range(parts.size())] == [catalog, schema, "readings"]
    parts = parser.parseMultipartIdentifier(sql_name(f"{catalog}.{schema}.readings"))
    assert [parts.apply(at) for at in range(parts.size())] == [catalog, schema, "readings"]


@pytest.mark.parametrize("name", ["a.b", "a b", "a/b", "", "a\x7f", "x" * 256])
def test_a_name_that_unity_catalog_refuses_is_refused(plant: Plant, name: str) -> None:
    for catalog, schema in ((name, "s"), ("c", name)):
        with pytest.raises(TableError, match="not a name that Unity Catalog takes"):
            Catalog(plant.spark, catalog, schema)
