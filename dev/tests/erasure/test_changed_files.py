"""Erasure writes landed files again: none of them counts as changed by that, and one that had changed still does."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from sensor_streams.erasure import erase as module
from sensor_streams.erasure.device_lines import Erasure
from sensor_streams.erasure.erase import Erased, erase
from sensor_streams.ingest.changed_files import changed_files, reread
from sensor_streams.rebuild import only_writer
from sensor_streams.streams import BY_NAME
from sensor_streams.verify import verify
from tests.plant import ARRIVAL, Plant, reading

LATER = ARRIVAL + timedelta(hours=1)
TABLES = ("readings", "readings_rejected", "ingested_files")


def _lines(device: str, *minutes: int) -> list[str]:
    return [reading(device, "power", f"00:{minute:02d}:00", minute) for minute in minutes]


def _erased(plant: Plant) -> Erased:
    settings = plant.settings(archive=str(plant.folder / "archive"))
    with only_writer(settings, list(BY_NAME), "erase"):
        return erase(plant.catalog, settings, plant.fleet, Erasure("pump-2"), lambda _: None)


def _differing(plant: Plant) -> list[str]:
    def none(kind: str, version: str) -> NoReturn:
        raise AssertionError(kind, version)

    checks = verify(plant.catalog, plant.fleet, none, only=["readings"], landing=str(plant.landing))
    return [f"{check.table}: {check.examples}" for check in checks if check.differing]


def _reported(plant: Plant) -> list[str]:
    return [one.file.name for one in changed_files(plant.read("ingested_files"), str(plant.landing))]


@pytest.fixture
def read(plant: Plant) -> Plant:
    """Files of two devices that were read: as they came, with rejected lines, grown and read again, archived."""
    plant.create("readings")
    plant.land("plain.json", [*_lines("pump-1", 1, 2), *_lines("pump-2", 1, 2)])
    plant.land("rejected.json", [*_lines("pump-1", 3), *_lines("pump-2", 3), "no json", "no json of pump-2"])
    plant.land("only.json", _lines("pump-2", 4, 5))
    plant.land("other.json", _lines("pump-1", 6))
    plant.land("grown.json", [*_lines("pump-1", 7), *_lines("pump-2", 7), "no json"])
    plant.land("archived.json", [*_lines("pump-1", 8), *_lines("pump-2", 8)])
    plant.ingest()
    # With a rejected line its first time stays recorded.
    plant.land("grown.json", [*_lines("pump-1", 7, 17), *_lines("pump-2", 7, 17), "no json"], LATER)
    assert reread(plant.catalog, plant.fleet, str(plant.landing), [])[0] == ["grown.json"]
    (plant.folder / "archive").mkdir()
    shutil.move(plant.landing / "archived.json", plant.folder / "archive" / "archived.json")
    assert _differing(plant) == []
    return plant


@pytest.mark.slow
def test_files_rewritten_by_an_erasure_are_not_reported_as_changed(read: Plant) -> None:
    report = _erased(read)
    assert (report.files, report.missing) == (5, [])
    assert _differing(read) == []
    assert _reported(read) == []
    assert reread(read.catalog, read.fleet, str(read.landing), [])[0] == []
    sums = read.sums()
    # Read by name, moved back from the archive, and with a lost checkpoint: nothing is written.
    versions = [read.version(table) for table in TABLES]
    shutil.move(read.folder / "archive" / "archived.json", read.landing / "archived.json")
    assert _reported(read) == []
    names = ["plain.json", "rejected.json", "grown.json"]
    assert reread(read.catalog, read.fleet, str(read.landing), names)[1].writes.inserted == 0
    read.ingest()
    assert [read.version(table) for table in TABLES] == versions
    read.run("readings")
    assert [read.version(table) for table in TABLES[:2]] == versions[:2]
    assert read.count("readings", "device_id = 'pump-2'") == 0
    assert read.count("readings_rejected", "raw LIKE '%pump-2%'") == 0
    assert read.sums() == sums == (9, 7, 2, 0)
    assert (_differing(read), _reported(read)) == ([], [])


@pytest.mark.slow
def test_a_file_changed_before_an_erasure_is_still_reported_and_can_be_read_again(
    read: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One grew with a new time, one kept its time as a copy does.
    read.land("plain.json", [*_lines("pump-1", 1, 2, 31, 32), *_lines("pump-2", 1, 2, 31)], LATER)
    read.land("rejected.json", [*_lines("pump-1", 3, 33, 34), *_lines("pump-2", 3), "no json", "no json of pump-2"])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "_count_again", killed)
        with pytest.raises(KeyboardInterrupt):
            _erased(read)
    _erased(read)
    assert _reported(read) == ["plain.json", "rejected.json"]
    names, outcome = reread(read.catalog, read.fleet, str(read.landing), [])
    assert (names, outcome.writes.inserted) == (["plain.json", "rejected.json"], 4)
    assert read.count("readings", "device_id = 'pump-2'") == 0
    assert read.sums() == (13, 11, 2, 0)
    assert (_differing(read), _reported(read)) == ([], [])


@pytest.mark.slow
def test_a_device_is_erased_from_a_file_whose_name_is_not_utf_8(read: Plant) -> None:
    file = Path(str(read.landing), "caf\udce9.json")
    file.write_text("\n".join([*_lines("pump-2", 9), *_lines("pump-1", 9), ""]), encoding="utf-8")
    read.ingest()
    report = _erased(read)
    assert "pump-2" not in file.read_text("utf-8")
    assert report.files == 6
    assert (_differing(read), _reported(read)) == ([], [])
