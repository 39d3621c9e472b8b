"""The simulator writes the same files for the same seed, and a ground truth that matches them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sensor_streams.errors import ConfigurationError
from sensor_streams.fleet import load_fleet
from sensor_streams_dev.simulate import Simulation, simulate
from tests.rows import FIXTURES

START = datetime(2026, 1, 1, tzinfo=UTC)
FLEETS = ["fixtures/sensors.yml", "examples/fleets/cold_chain.yml", "examples/fleets/turbofan.yml"]


def contents(folder: Path) -> dict[str, bytes]:
    """Return file name → content."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", FLEETS)
def test_the_same_seed_gives_the_same_files_in_one_call_or_two(tmp_path: Path, name: str) -> None:
    simulation = Simulation(load_fleet(FIXTURES.parent / name), devices=2, origin=START)
    middle, end = START + timedelta(hours=12), START + timedelta(days=1)
    simulate(simulation, tmp_path / "one", START, end)
    simulate(simulation, tmp_path / "two", START, middle)
    simulate(simulation, tmp_path / "two", middle, end)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    other = Simulation(simulation.fleet, seed=2, devices=2, origin=START)
    simulate(other, tmp_path / "three", START, end)
    assert contents(tmp_path / "three") != contents(tmp_path / "one")


def test_the_files_have_all_kinds_of_lines_and_match_the_ground_truth(tmp_path: Path) -> None:
    simulation = Simulation(load_fleet(FIXTURES / "sensors.yml"), devices=4, origin=START)
    end = START + timedelta(days=7)
    report = simulate(
        simulation, tmp_path / "landing", START, end, failures=tmp_path / "failures.jsonl", truth=tmp_path / "truth"
    )
    written = b"".join(contents(tmp_path / "landing").values()).split(b"\n")[:-1]
    assert report.lines == len(written)
    assert min(report.duplicates, report.conflicts, report.malformed, report.ahead, report.failures) > 0
    counts = json.loads((tmp_path / "truth/counts.json").read_text("utf-8"))
    assert sum(count["lines"] for count in counts.values()) == report.lines
    failures = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text("utf-8").splitlines()]
    assert all(START.isoformat() <= f["failed_at"].replace("Z", "+00:00") < end.isoformat() for f in failures)
    assert (tmp_path / "truth/faults.jsonl").read_text("utf-8").strip()
    # The first device was offline on day 3 and sent its readings in the first file of day 4.
    fourth = (tmp_path / "landing/readings-20260104T000000.json").read_bytes().decode("utf-8", "replace").splitlines()
    assert sum('"pump-01"' in line and "2026-01-03" in line for line in fourth) > 1000
    for file in (tmp_path / "landing").iterdir():
        begin = datetime.strptime(file.name, "readings-%Y%m%dT%H%M%S.json").replace(tzinfo=UTC)
        assert file.stat().st_mtime == (begin + timedelta(hours=6)).timestamp(), "time of arrival"


def test_devices_are_named_by_the_patterns_of_their_type_and_too_few_names_are_refused() -> None:
    fleet = load_fleet(FIXTURES / "sensors.yml")

    def names(count: int, *patterns: str) -> list[str]:
        kind = fleet.device_types["pump"].model_copy(update={"devices": patterns})
        named = fleet.model_copy(update={"device_types": {"pump": kind}})
        return [device.name for device in Simulation(named, devices=count, origin=START).all_devices()]

    assert names(3, "pump-*") == ["pump-01", "pump-02", "pump-03"]
    assert names(2, "pump-??") == ["pump-01", "pump-02"]
    assert names(3, "north", "south", "p?") == ["north", "south", "p1"]
    assert names(3, "pump-01", "pump-*") == ["pump-01", "pump-02", "pump-03"]
    with pytest.raises(ConfigurationError, match="device type pump has names for 2 devices, but 3 are requested"):
        names(3, "north", "south")


def test_a_span_that_was_simulated_before_is_refused(tmp_path: Path) -> None:
    simulation = Simulation(load_fleet(FIXTURES / "sensors.yml"), devices=1, origin=START)
    simulate(simulation, tmp_path, START, START + timedelta(hours=6))
    with pytest.raises(ConfigurationError, match="was simulated before"):
        simulate(simulation, tmp_path, START, START + timedelta(hours=6))
