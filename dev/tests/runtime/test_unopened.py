"""A table with an entry is opened by whoever is first, and advice to drop the entry is never given where data is."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dev.tests.runtime.test_tables import SMALL
from sensor_streams.catalog_file import CatalogFile
from sensor_streams.errors import TableError
from sensor_streams.table_spec import TableIdentity
from sensor_streams.tables import Catalog
from tests.plant import Plant

Break = Callable[[Path], None]


def unknown_to_the_session(plant: Plant) -> Catalog:
    """The plant's catalog as a process of its own has it: the session knows none of the entries."""
    plant.spark.sql(f"DROP TABLE IF EXISTS {plant.catalog.full_name('small')}")
    return replace(plant.catalog, entries=CatalogFile(plant.folder / "catalog.json"))


@pytest.mark.parametrize("use", ["handle", "read", "identify", "open", "create", "exists"])
def test_the_first_use_of_a_table_in_a_process_finds_it_whatever_it_is(plant: Plant, use: str) -> None:
    made = plant.catalog.create(SMALL)
    catalog = unknown_to_the_session(plant)
    opened = getattr(catalog, use)(SMALL if use in ("open", "create") else "small")
    assert opened
    assert catalog.identify("small") == made


def empty_log(place: Path) -> None:
    shutil.rmtree(place)
    (place / "_delta_log").mkdir(parents=True)


def lost_commits(place: Path) -> None:
    (place / "_delta_log" / f"{0:020}.json").rename(place / "_delta_log" / f"{7:020}.json")


def other_files(place: Path) -> None:
    shutil.rmtree(place / "_delta_log")
    (place / "part-0.parquet").touch()


@pytest.mark.parametrize(
    ("spoil", "says", "drop"),
    [
        (shutil.rmtree, "there is no Delta table there", True),
        (empty_log, "there is no Delta table there", True),
        (lost_commits, r"cannot be opened \(DELTA_TRUNCATED", False),
        (other_files, r"there is no Delta table there, but other files \(part-0.parquet", False),
    ],
)
@pytest.mark.parametrize("entries", [True, False])
def test_advice_to_drop_an_entry_is_given_only_where_nothing_is_stored(
    plant: Plant, spoil: Break, says: str, drop: bool, entries: bool
) -> None:
    plant.catalog.create(SMALL)
    catalog = unknown_to_the_session(plant) if entries else replace(plant.catalog, entries=None)
    spoil(plant.folder / "tables" / "small")
    plant.spark.sql("CLEAR CACHE")
    for use in (catalog.handle, catalog.identify, lambda _: catalog.create(SMALL)):
        with pytest.raises(TableError, match=says) as told:
            use("small")
        assert ("drop the entry" in str(told.value)) is drop
        assert "Nothing was written" in str(told.value)


def test_an_entry_that_points_beside_the_data_names_the_place_of_the_data(plant: Plant, tmp_path: Path) -> None:
    made = plant.catalog.create(SMALL)
    CatalogFile(tmp_path / "catalog.json").add(TableIdentity(made.name, str(tmp_path / "elsewhere"), made.table_id))
    with pytest.raises(TableError, match=r"a Delta table is stored at \S+/tables/small") as told:
        plant.catalog.handle("small")
    assert "drop" not in str(told.value)


def test_a_place_that_cannot_be_looked_at_is_no_empty_place(plant: Plant, tmp_path: Path) -> None:
    CatalogFile(tmp_path / "catalog.json").add(
        TableIdentity(f"spark_catalog.{plant.schema}.small", "nosuch://bucket/small", "x")
    )
    with pytest.raises(TableError, match="Whether data is stored there is not known") as told:
        plant.catalog.handle("small")
    assert "drop" not in str(told.value)
