"""A table with an entry: its first use in a process opens it; no error advises to drop the entry of existing data."""

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
    """Return the plant's catalog as in a new process, whose session has no entries."""
    plant.spark.sql(f"DROP TABLE IF EXISTS {plant.catalog.full_name('small')}")
    return replace(plant.catalog, entries=CatalogFile(plant.folder / "catalog.json"))


@pytest.mark.parametrize("use", ["handle", "read", "identify", "open", "create", "exists"])
def test_the_first_use_of_a_table_in_a_process_finds_it(plant: Plant, use: str) -> None:
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
    ("damage", "message", "drop"),
    [
        (shutil.rmtree, "no Delta table is stored there", True),
        (empty_log, "no Delta table is stored there", True),
        (lost_commits, r"cannot be opened \(DELTA_TRUNCATED", False),
        (other_files, r"no Delta table is stored there, but other files are \(part-0.parquet", False),
    ],
)
@pytest.mark.parametrize("entries", [True, False])
def test_an_error_advises_to_drop_an_entry_only_if_no_data_is_stored(
    plant: Plant, damage: Break, message: str, drop: bool, entries: bool
) -> None:
    plant.catalog.create(SMALL)
    catalog = unknown_to_the_session(plant) if entries else replace(plant.catalog, entries=None)
    damage(plant.folder / "tables" / "small")
    plant.spark.sql("CLEAR CACHE")
    for use in (catalog.handle, catalog.identify, lambda _: catalog.create(SMALL)):
        with pytest.raises(TableError, match=message) as raised:
            use("small")
        assert ("drop the entry" in str(raised.value)) is drop
        assert "Nothing was written" in str(raised.value)


def test_the_error_of_a_wrong_entry_names_the_location_of_the_data(plant: Plant, tmp_path: Path) -> None:
    made = plant.catalog.create(SMALL)
    CatalogFile(tmp_path / "catalog.json").add(TableIdentity(made.name, str(tmp_path / "elsewhere"), made.table_id))
    with pytest.raises(TableError, match=r"one is stored at \S+/tables/small") as raised:
        plant.catalog.handle("small")
    assert "drop" not in str(raised.value)


def test_an_unreadable_location_does_not_count_as_empty(plant: Plant, tmp_path: Path) -> None:
    CatalogFile(tmp_path / "catalog.json").add(
        TableIdentity(f"spark_catalog.{plant.schema}.small", "nosuch://bucket/small", "x")
    )
    with pytest.raises(TableError, match="Whether data is stored there is not known") as raised:
        plant.catalog.handle("small")
    assert "drop" not in str(raised.value)
