"""Names, locations and who may create what."""

from pathlib import Path

import pytest

from sensor_streams.errors import BindingError, TableError
from sensor_streams.local.catalog import CatalogFile
from sensor_streams.streams import BY_NAME
from sensor_streams.tables import Catalog, TableIdentity
from tests.plant import Plant


def test_registering_a_name_never_writes_at_a_location(plant: Plant, tmp_path: Path) -> None:
    nowhere = tmp_path / "it's nowhere"
    entries = CatalogFile(tmp_path / "catalog.json")
    entries.add(TableIdentity(f"spark_catalog.{plant.schema}.lost", str(nowhere), "x"))
    entries.register(plant.spark)
    assert not nowhere.exists()
    assert plant.catalog.exists("lost")
    with pytest.raises(TableError, match="there is no Delta table there"):
        plant.catalog.identify("lost")
    assert not nowhere.exists()


def test_a_stream_whose_entry_leads_nowhere_does_not_make_a_table_there(plant: Plant, tmp_path: Path) -> None:
    plant.create("readings")
    entries = CatalogFile(tmp_path / "catalog.json")
    name = f"spark_catalog.{plant.schema}.readings"
    entries.add(TableIdentity(name, str(tmp_path / "elsewhere"), "x"))
    with pytest.raises(TableError, match=r"readings: its catalog entry says .*elsewhere"):
        plant.create("readings")
    assert not (tmp_path / "elsewhere").exists()


def test_data_without_an_entry_is_not_taken_for_an_empty_place(plant: Plant, tmp_path: Path) -> None:
    plant.create("readings")
    CatalogFile(tmp_path / "catalog.json").remove(f"spark_catalog.{plant.schema}.readings")
    with pytest.raises(TableError, match=r"is not in the catalog, but .* holds data"):
        plant.create("readings")


def test_a_reader_waits_for_its_table_and_says_which_one_did_not_come(plant: Plant) -> None:
    with pytest.raises(TableError, match=r"device_features did not appear within 1 s: only the stream of that name"):
        plant.run("inference", table_deadline="1 s")
    assert not plant.catalog.exists("device_features")


def test_a_second_session_sees_a_table_that_another_one_created(plant: Plant, tmp_path: Path) -> None:
    plant.create("readings")
    fresh = CatalogFile(tmp_path / "catalog.json")
    other = Catalog(plant.spark.newSession(), "spark_catalog", plant.schema, str(tmp_path / "tables"), fresh)
    assert other.wait_for("readings", 1) == plant.catalog.identify("readings")


def test_names_that_are_no_names_never_reach_sql(plant: Plant) -> None:
    for name in ("a b", "a`; drop table x", "../a", ""):
        with pytest.raises(TableError, match="is no plain name"):
            plant.catalog.full_name(name)


def test_a_stream_refuses_to_start_when_its_names_lead_to_other_data_than_its_checkpoints(
    plant: Plant, tmp_path: Path
) -> None:
    # The incident: a table is re-created elsewhere, the name follows it, and the checkpoint does not.
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
    assert f"sink: location was {before.location} and is {created.location}" in text
    assert f"sink: table id was {before.table_id} and is {created.table_id}" in text
    assert name in text or "name" not in text
    assert not (tmp_path / "checkpoints" / "readings" / "holder.json").exists()
