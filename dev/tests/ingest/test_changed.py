"""Files that grow or are overwritten after they were read are reported, and read again on request."""

import logging
import os
from datetime import timedelta
from typing import NoReturn

import pytest

from sensor_streams.errors import InputError
from sensor_streams.ingest.changed_files import changed_files, reread
from tests.plant import ARRIVAL, Plant, reading

LATER = ARRIVAL + timedelta(hours=1)


def _lines(*minutes: int) -> list[str]:
    return [reading("pump-1", "power", f"00:{minute:02d}:00", minute) for minute in minutes]


@pytest.fixture
def changed(plant: Plant) -> Plant:
    """Return a plant whose files changed after they were read: one grew, one was overwritten, one was incomplete."""
    plant.create("readings")
    plant.land("daily.json", _lines(1, 2, 3))
    plant.land("latest.json", _lines(11, 12, 13))
    plant.land("half.json", [*_lines(21, 22), _lines(23)[0][:-20]])
    plant.land("same.json", _lines(31))
    plant.ingest()
    assert plant.sums() == (10, 9, 1, 0)
    plant.land("daily.json", _lines(1, 2, 3, 4, 5, 6), LATER)
    plant.land("latest.json", _lines(41, 42, 43), LATER)
    plant.land("half.json", _lines(21, 22, 23), LATER)
    return plant


def _verify(plant: Plant) -> list[str]:
    from sensor_streams.verify import verify

    def no_model(kind: str, version: str) -> NoReturn:
        raise AssertionError(kind, version)

    checks = verify(plant.catalog, plant.fleet, no_model, only=["readings"], landing=str(plant.landing))
    return [*checks[0].examples] if checks[0].differing else []


def test_changed_files_are_reported_at_the_start_and_by_verify(
    changed: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    found = _verify(changed)
    assert [name for name in ("daily.json", "latest.json", "half.json") if name in " ".join(found)] == [
        "daily.json",
        "latest.json",
        "half.json",
    ]
    assert "same.json" not in " ".join(found)
    with caplog.at_level(logging.WARNING):
        changed.run("readings")
    warnings = [
        record.getMessage() for record in caplog.records if "changed after they were read" in record.getMessage()
    ]
    assert len(warnings) == 1
    assert "3 landed files" in warnings[0]
    assert "daily.json" in warnings[0]
    assert "sensor-streams reread" in warnings[0]


def test_a_file_that_is_read_again_adds_its_new_lines_once_with_correct_counts(changed: Plant) -> None:
    names, outcome = reread(changed.catalog, changed.fleet, str(changed.landing), [])
    assert names == ["daily.json", "half.json", "latest.json"]
    assert outcome.writes.inserted == 7
    assert _verify(changed) == []
    # Earlier content stays: three readings that were overwritten, and half of a line.
    assert changed.sums() == (17, 16, 1, 0)
    again = reread(changed.catalog, changed.fleet, str(changed.landing), ["daily.json"])
    assert (again[0], again[1].writes.inserted) == (["daily.json"], 0)
    assert reread(changed.catalog, changed.fleet, str(changed.landing), [])[0] == []
    assert changed.sums() == (17, 16, 1, 0)
    with pytest.raises(InputError, match=r"gone\.json: is not in the landing folder"):
        reread(changed.catalog, changed.fleet, str(changed.landing), ["gone.json"])


def test_a_lost_checkpoint_after_files_were_overwritten_keeps_the_counts(changed: Plant) -> None:
    changed.ingest()
    assert _verify(changed) == []
    assert changed.sums() == (17, 16, 1, 0)
    changed.ingest()
    assert changed.sums() == (17, 16, 1, 0)
    assert changed.differing("readings") == []


def test_a_file_marked_as_set_aside_is_read_again_by_the_next_batch(changed: Plant) -> None:
    changed.catalog.handle("ingested_files").update("source_file = 'latest.json'", {"state": "'SET_ASIDE'"})
    changed.land("next.json", _lines(50))
    changed.ingest("next.json")
    assert changed.count("readings", "source_file = 'latest.json'") == 6
    assert changed.differing("readings") == []


def test_a_restored_folder_is_reported_by_its_times_and_read_again_without_new_rows(changed: Plant) -> None:
    reread(changed.catalog, changed.fleet, str(changed.landing), [])
    before = changed.version("readings")
    # A copy has the time when it was made.
    for file in changed.landing.iterdir():
        os.utime(file)
    table = changed.read("ingested_files")
    assert len(changed_files(table, str(changed.landing))) == 4
    assert len(reread(changed.catalog, changed.fleet, str(changed.landing), [])[0]) == 4
    assert changed.version("readings") == before
    assert changed_files(changed.read("ingested_files"), str(changed.landing)) == []
    assert _verify(changed) == []
