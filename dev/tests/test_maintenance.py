"""OPTIMIZE, VACUUM and the archive: they remove nothing that a stream must still read, and change no result."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from delta.exceptions import ConcurrentAppendException

from sensor_streams.checkpoint.offsets import position_of
from sensor_streams.errors import ConfigurationError, StreamFailedError, TableError
from sensor_streams.incremental.regions import RegionScope
from sensor_streams.maintenance import MaintenanceReport, archive_landed, maintain
from tests.plant import ARRIVAL, Plant, reading

DAY = timedelta(days=1)


def maintained(plant: Plant, now: datetime | None = None, **settings: object) -> MaintenanceReport:
    """Run maintenance with the plant's settings."""
    return maintain(plant.catalog, plant.settings(**settings), plant.fleet, now=now)


def land(plant: Plant, *minutes: int) -> None:
    """Land a file with one reading for each minute."""
    for minute in minutes:
        plant.land(f"{minute}.json", [reading("pump-1", "power", f"00:{minute:02}:00", 5 + minute)])


@pytest.mark.slow
def test_small_files_are_merged_and_streams_have_nothing_to_do_after_it(plant: Plant) -> None:
    plant.create("readings", "sensor_features")
    for minute in range(3):
        land(plant, minute)
        plant.ingest(f"{minute}.json")
    plant.follow("sensor_features")
    rows, written = plant.count("sensor_features"), plant.version("sensor_features")
    report = maintained(plant)
    kept = {table.table: table for table in report.tables}
    assert (kept["readings"].files_removed, kept["readings"].files_added) == (3, 1)
    assert (kept["ingested_files"].files_removed, kept["ingested_files"].files_added) == (3, 1), "no partitions"
    assert kept["readings"].kept_hours == 30 * 24, "the table's own retention"
    plant.follow("sensor_features")
    assert (plant.count("sensor_features"), plant.version("sensor_features")) == (rows, written)
    assert plant.differing() == []


@pytest.mark.slow
def test_vacuum_keeps_files_that_the_slowest_stream_must_still_read(plant: Plant) -> None:
    land(plant, 0)
    plant.run("readings", "sensor_features")
    land(plant, 1)
    plant.run("readings")
    later = datetime.now(UTC) + 40 * DAY
    kept = {table.table: table for table in maintained(plant, later).tables}
    hours = kept["readings"].kept_hours
    assert hours is not None
    assert abs(hours - 41 * 24) < 1, "the lag, and a day"
    assert kept["sensor_features"].kept_hours == 30 * 24, "no stream lags behind"
    plant.run("readings", "sensor_features")
    assert plant.differing() == []
    caught_up = {table.table: table.kept_hours for table in maintained(plant, later).tables}
    assert caught_up["readings"] == 30 * 24


@pytest.mark.slow
def test_ingested_files_are_archived_and_no_count_changes(plant: Plant, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    plant.create("readings")
    plant.land_bytes("deep.json", b"", ARRIVAL)
    (plant.landing / "below").mkdir()
    land(plant, 0)
    plant.land("below/1.json", [reading("pump-1", "power", "00:01:00", 5), "{"])
    plant.ingest("0.json", "below/1.json", "deep.json")
    sums = plant.sums()
    assert archived(plant, archive, datetime.now(UTC)) == 0, "not within a week"
    assert archived(plant, archive, datetime.now(UTC) + 8 * DAY) == 2
    assert sorted(str(f.relative_to(archive)) for f in archive.rglob("*.json")) == ["0.json", "below/1.json"]
    assert [f.name for f in plant.landing.rglob("*.json")] == ["deep.json"], "an empty file may still be written"
    assert (archive / "0.json").stat().st_mtime == ARRIVAL.timestamp()
    land(plant, 2)
    plant.ingest()
    assert plant.sums() == (sums[0] + 1, sums[1] + 1, *sums[2:])


def archived(plant: Plant, archive: Path, now: datetime) -> int:
    """Archive only, and return the number of files."""
    settings = plant.settings(archive=str(archive))
    position = position_of(plant.folder / "checkpoints/readings")
    return archive_landed(plant.catalog, plant.fleet, settings, archive, position, now)[0]


@pytest.mark.slow
def test_nothing_is_archived_while_a_batch_of_readings_is_unfinished(plant: Plant, tmp_path: Path) -> None:
    land(plant, 0)
    plant.run("readings")
    # A kill between the batch and its commit leaves this.
    commits = plant.folder / "checkpoints/readings/checkpoint/commits"
    (commits / "0").unlink()
    (commits / ".0.crc").unlink()
    assert position_of(plant.folder / "checkpoints/readings").unfinished
    report = maintained(plant, datetime.now(UTC) + 8 * DAY, archive=str(tmp_path / "archive"))
    assert report.archived == 0
    assert any("has not ended" in line for line in report.lines())
    plant.run("readings")
    assert maintained(plant, datetime.now(UTC) + 8 * DAY, archive=str(tmp_path / "archive")).archived == 1


def test_an_archive_in_the_landing_folder_is_refused(plant: Plant) -> None:
    with pytest.raises(ConfigurationError, match=r"setting archive: \S+/landing/old is inside the landing folder"):
        maintained(plant, archive=str(plant.landing / "old"))


def test_an_unreadable_checkpoint_is_an_error_in_one_line(plant: Plant) -> None:
    offsets = plant.folder / "checkpoints/alerts/checkpoint/offsets"
    offsets.mkdir(parents=True)
    (offsets / "0").write_text("v1\n{}\n{half", encoding="utf-8")
    with pytest.raises(TableError, match=r"offsets/0: cannot be read as the offsets of a stream"):
        maintained(plant)


@pytest.mark.slow
def test_a_batch_is_repeated_after_a_conflict_and_a_lasting_conflict_is_reported(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    land(plant, 0)
    real, conflicts = RegionScope.process_batch, iter([True, False])

    def overtaken(*given: Any) -> Any:
        if next(conflicts, False):
            raise ConcurrentAppendException("files were added by a concurrent update")
        return real(*given)

    monkeypatch.setattr(RegionScope, "process_batch", overtaken)
    plant.run("readings", "sensor_features")
    assert "stream sensor_features, batch 0: another writer was faster" in caplog.text
    assert plant.differing() == []
    land(plant, 1)
    conflicts = iter([True] * 99)
    with pytest.raises(StreamFailedError, match=r"stream sensor_features, batch 1: ConcurrentAppendException"):
        plant.run("readings", "sensor_features")
    assert sum(1 for _ in conflicts) == 99 - 4
