"""Erasure of a device's readings from every table and file; the remaining rows are correct."""

import bz2
import gzip
import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sensor_streams.erasure import erase as module
from sensor_streams.erasure.device_lines import Erasure, has_lines_to_erase, remove_lines
from sensor_streams.erasure.erase import JOURNAL, Erased, erase
from sensor_streams.errors import CheckpointInUseError, InputError
from sensor_streams.rebuild import only_writer
from sensor_streams.streams import BY_NAME
from tests.plant import ARRIVAL, Plant, reading

FEATURES = ("readings", "sensor_features", "device_features", "device_sessions")
MINE = Erasure("pump-2")
DECOMPRESS: Mapping[str, Callable[[bytes], bytes]] = {".gz": gzip.decompress, ".bz2": bz2.decompress}


def lines_of(device: str, hours: range = range(2)) -> list[str]:
    """A reading each two minutes, with load."""
    return [
        reading(device, sensor, f"{hour:02}:{minute:02}:00", 5 + minute % 7)
        for hour in hours
        for minute in range(0, 60, 2)
        for sensor in ("power", "temperature")
    ]


def erased(plant: Plant, erasure: Erasure = MINE) -> Erased:
    """Erase with the plant's settings, as the command does."""
    settings = plant.settings(archive=str(plant.folder / "archive"))
    with only_writer(settings, list(BY_NAME), "erase"):
        return erase(plant.catalog, settings, plant.fleet, erasure, lambda _: None)


def left_of(plant: Plant, device: str = "pump-2") -> dict[str, int]:
    """Number of rows by table and lines by file that still name the device."""
    tables = {name: plant.count(name, f"device_id = '{device}'") for name in FEATURES}
    tables["readings_rejected"] = plant.count("readings_rejected", f"raw LIKE '%{device}\"%'")
    for file in [*(plant.folder / "landing").rglob("*"), *(plant.folder / "archive").rglob("*")]:
        if file.is_file():
            content = DECOMPRESS.get(file.suffix, bytes)(file.read_bytes())
            tables[file.name] = content.count(f'"{device}"'.encode())
    return {name: count for name, count in tables.items() if count}


@pytest.fixture
def ran(plant: Plant) -> Plant:
    """A plant whose files hold two devices: plain, compressed, archived, of one device only, with rejected lines."""
    plant.land("a.json", [*lines_of("pump-1"), *lines_of("pump-2"), lines_of("pump-2")[0], "no json of pump-2"])
    plant.land_bytes("b.json.gz", gzip.compress("\r\n".join([*lines_of("pump-2", range(2, 3)), "x"]).encode()), ARRIVAL)
    plant.land_bytes("c.json.bz2", bz2.compress("\n".join(lines_of("pump-20", range(3, 4))).encode()), ARRIVAL)
    escaped = reading("pump-2", "power", "09:00:00", -900).replace("pump-2", "pump\\u002d2")
    (plant.landing / "d").mkdir()
    plant.land("d/only.json", [*lines_of("pump-2", range(4, 5)), escaped])
    plant.run("feature_extraction")
    moved = plant.folder / "archive"
    moved.mkdir()
    shutil.move(plant.landing / "b.json.gz", moved / "b.json.gz")
    assert plant.differing() == []
    assert plant.count("readings_rejected") == 3
    return plant


@pytest.mark.slow
def test_a_device_is_erased_from_every_table_and_file_also_after_a_new_checkpoint(ran: Plant) -> None:
    others = ran.count("sensor_features", "device_id <> 'pump-2'")
    report = erased(ran)
    assert report.rows["readings"] == 240
    assert report.rows["readings_rejected"] == 2
    assert (report.files, report.not_read, report.missing) == (3, [], [])
    assert "pump" not in " ".join(report.report())
    assert left_of(ran) == {}
    assert ran.differing() == []
    assert not (ran.landing / "d" / "only.json").exists()
    lines, accepted, rejected, duplicates = ran.sums()
    assert (lines, accepted, rejected, duplicates) == (181, 180, 1, 0)
    # Again: nothing is left, and nothing is written.
    versions = {name: ran.version(name) for name in FEATURES}
    assert erased(ran).lines == 0
    assert {name: ran.version(name) for name in FEATURES} == versions
    # Streams follow the change feed to the same tables; and from the landed and archived files nothing comes back.
    ran.run("feature_extraction")
    assert ran.differing() == []
    shutil.rmtree(ran.folder / "checkpoints")
    shutil.move(ran.folder / "archive" / "b.json.gz", ran.landing / "b.json.gz")
    ran.run("feature_extraction")
    assert left_of(ran) == {}
    assert ran.differing() == []
    assert ran.sums() == (181, 180, 1, 0)
    assert ran.count("sensor_features", "device_id <> 'pump-2'") == others


@pytest.mark.slow
def test_after_a_range_is_erased_later_windows_that_look_back_on_it_are_recomputed(ran: Plant) -> None:
    span = Erasure("pump-2", datetime(2026, 1, 1, 0, 30, tzinfo=UTC), datetime(2026, 1, 1, 1, tzinfo=UTC))
    assert erased(ran, span).rows["readings"] == 30
    assert ran.count("readings", "device_id = 'pump-2'") == 210
    assert ran.differing() == []
    ran.run("feature_extraction")
    assert ran.differing() == []


@pytest.mark.slow
def test_a_killed_erasure_is_completed_by_the_next_one(ran: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    # In turn before each kind of write: what the one before wrote is there.
    for step in ("_delete_lines", "_count_again", "_derived"):
        with monkeypatch.context() as patched:
            patched.setattr(module, step, killed)
            with pytest.raises(KeyboardInterrupt):
                erased(ran)
    assert (ran.folder / "checkpoints" / "readings" / JOURNAL).exists()
    erased(ran)
    assert left_of(ran) == {}
    assert ran.differing() == []
    assert ran.sums() == (181, 180, 1, 0)
    assert not (ran.folder / "checkpoints" / "readings" / JOURNAL).exists()


@pytest.mark.slow
def test_nothing_is_erased_while_a_stream_runs_or_a_file_cannot_be_written(ran: Plant) -> None:
    settings = ran.settings()
    with only_writer(settings, ["device_sessions"], "other"), pytest.raises(CheckpointInUseError):
        erased(ran)
    file = ran.landing / "a.json"
    damaged = file.read_bytes()
    file.unlink()
    ran.spark.sql(
        f"UPDATE {ran.catalog.full_name('readings')} SET source_file = 'a.json.gz' WHERE source_file='a.json'"
    )
    (ran.landing / "a.json.gz").write_bytes(damaged)
    with pytest.raises(InputError, match=r"a\.json\.gz has readings of the device and cannot be rewritten"):
        erased(ran)
    assert ran.count("readings", "device_id = 'pump-2'") == 240


@pytest.mark.parametrize(
    ("line", "whole", "ranged"),
    [
        ('{"device_id": "pump-2", "event_time": "2026-01-01T00:30:00Z"}', True, True),
        ('{"device_id": "pump-2", "event_time": "2026-01-01t02:30:00+02:00"}', True, True),
        ('{"device_id": "pump-2", "event_time": "2026-01-01T01:00:00Z"}', True, False),
        ('{"device_id": "pump-2", "event_time": "yesterday"}', True, False),
        ('{"device_id": "pump\\u002d2"}', True, False),
        ('{"device_id": "pump-20", "site": "pump-2"}', False, False),
        ('{"device_id": "pump-2', True, False),
        ('{"device_id": "pump-20', False, False),
        ('{"device_id": "my.pump-2', False, False),
    ],
)
def test_lines_of_a_device_are_recognised(line: str, whole: bool, ranged: bool) -> None:
    span = Erasure("pump-2", datetime(2026, 1, 1, 0, 30, tzinfo=UTC), datetime(2026, 1, 1, 1, tzinfo=UTC))
    assert (MINE.concerns(line.encode()), span.concerns(line.encode())) == (whole, ranged)


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.json.bz2", "a.json.zst"])
def test_the_other_lines_of_a_file_keep_every_byte_and_their_time_of_arrival(tmp_path: Path, name: str) -> None:
    from sensor_streams.erasure.device_lines import _opened

    file = tmp_path / name
    mine = json.dumps({"device_id": "pump-2"}).encode()
    with _opened(file, "wb") as out:
        out.write(b"first\r\n" + mine + b"\n\xff\xfe\n" + mine + b"\rlast")
    before = file.stat().st_mtime_ns
    assert has_lines_to_erase(file, MINE)
    assert remove_lines(file, MINE, keep_empty=False) == 2
    with _opened(file, "rb") as text:
        assert text.read() == b"first\r\n\xff\xfe\nlast"
    assert file.stat().st_mtime_ns == before
    assert not has_lines_to_erase(file, MINE)
