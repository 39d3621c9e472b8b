"""Faults with real processes: kill -9 between writes, signals, two runs at once."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sensor_streams.errors import CheckpointInUse
from sensor_streams.simulate import Simulation, simulate
from tests.plant import ARRIVAL, QUICK, Plant, all_names, reading
from tests.slow.waiting import until

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
# What every JVM takes, whoever starts it.
QUICKLY = {**os.environ, "JAVA_TOOL_OPTIONS": QUICK}


def endless(plant: Plant, run: str) -> subprocess.Popen[str]:
    """Two streams in a process of their own, without an end."""
    command = [sys.executable, "-m", "sensor_streams.cli", "stream", "readings", "sensor_features", "--trigger", "1 s"]
    where = ["--run", run, "--settings", str(plant.settings_file()), "--local", str(ROOT / "local.yml")]
    return subprocess.Popen(
        [*command, *where, "--home", str(plant.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=QUICKLY,
    )


def said(process: subprocess.Popen[str]) -> str:
    """What a process said to its end; nothing while it lives."""
    return "" if process.poll() is None else str(process.communicate())


def committed(plant: Plant) -> bool:
    """True when the second stream has ended a batch."""
    return any((plant.folder / "checkpoints/sensor_features/checkpoint/commits").glob("[0-9]*"))


def test_kill_9_between_any_two_writes_of_a_batch_loses_nothing_and_writes_nothing_twice(plant: Plant) -> None:
    slow = plant.fleet.model_copy(
        update={
            "sensors": {
                name: sensor.model_copy(update={"period": timedelta(minutes=1)})
                for name, sensor in plant.fleet.sensors.items()
            }
        }
    )
    simulation = Simulation(slow, devices=3, mean_life=timedelta(hours=3), malformed=0.01, duplicates=0.02)
    end = ORIGIN + timedelta(hours=6)
    simulate(simulation, plant.landing, ORIGIN, end)
    # A model from a plant of its own: this one must meet its first batch of every stream with a champion.
    teacher = Plant(plant.spark, plant.fleet, plant.folder / "teacher")
    teacher.landing.rmdir()
    teacher.landing.symlink_to(plant.landing)
    teacher.run("feature_extraction")
    teacher.train(
        [
            (device.name, datetime.fromtimestamp(failed, UTC).isoformat())
            for device in simulation.all_devices()
            for _, failed in device.lives(int(end.timestamp()))
        ]
    )
    models = teacher.settings()
    plant.store = {"tracking_uri": models.tracking_uri, "registry_uri": models.registry_uri}
    settings = plant.settings_file()
    # After each single write of ingestion, then after every second one: a restart begins with the write that is next.
    killed = 0
    for attempt, writes in enumerate([1, 1, 1, 1, 2, 2, 2, 99, 99]):
        command = [sys.executable, "-m", "tests.slow.killed", str(settings), str(writes), str(attempt + 1)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240, env=QUICKLY)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr[-2000:]
        killed += 1
    assert ended.returncode == 0
    assert killed >= 6
    assert plant.differing() == []
    assert plant.count("anomaly_scores") == plant.count("device_features") > 10
    for table in ("sensor_features", "device_features", "device_sessions"):
        assert plant.read(table).count() == teacher.read(table).count()
        assert plant.read(table).select("device_id").exceptAll(teacher.read(table).select("device_id")).isEmpty()
    key = ["device_id", "rule", "opened_at", "number"]
    events = plant.read("alert_events")
    assert events.count() == events.select(*key).distinct().count() > 0
    # Once more with everything lost but the tables.
    before = {name: plant.version(name) for name in all_names()}
    plant.run("feature_extraction", run="nightly", attempt=99)
    assert {name: plant.version(name) for name in all_names()} == before


def test_a_second_run_is_refused_sigterm_ends_in_order_and_kill_9_locks_nobody_out(plant: Plant) -> None:
    plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5)])
    first = endless(plant, "night-1")
    try:
        until(lambda: committed(plant), 120, first, told=lambda: said(first))
        with pytest.raises(CheckpointInUse, match=r"in use by run night-1, attempt 1, since 20") as refused:
            plant.run("readings", run="night-2", lease_timeout="8 s")
        assert str(first.pid) in str(refused.value)
        asked = time.monotonic()
        first.send_signal(signal.SIGTERM)
        _, told = first.communicate(timeout=40)
    finally:
        first.kill()
    assert time.monotonic() - asked < 30
    assert first.returncode == 130, "an endless run that was stopped is no success"
    assert "stopped by a signal" in told.splitlines()[-1]
    assert not (plant.folder / "checkpoints/readings/holder.json").exists()

    plant.land("b.json", [reading("pump-1", "power", "00:01:00", 5)], ARRIVAL + timedelta(hours=1))
    second = endless(plant, "night-3")
    try:
        until(
            lambda: (plant.folder / "checkpoints/readings/holder.json").exists(),
            60,
            second,
            told=lambda: said(second),
        )
        second.kill()
        second.wait(20)
    finally:
        second.kill()
    begun = time.monotonic()
    plant.run("readings", "sensor_features", run="night-3", attempt=2, lease_timeout="10 min")
    assert time.monotonic() - begun < 300, "the next attempt does not wait for the dead one's lease"
    assert plant.differing() == []
    assert plant.count("readings") == 2


def test_a_second_sigterm_ends_the_process_at_once(plant: Plant) -> None:
    plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5)])
    process = endless(plant, "night-1")
    try:
        until(lambda: committed(plant), 120, process, told=lambda: said(process))
        os.kill(process.pid, signal.SIGTERM)
        os.kill(process.pid, signal.SIGTERM)
        asked = time.monotonic()
        deadline = asked + 5
        while process.poll() is None and time.monotonic() < deadline:
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGTERM)
        assert process.returncode == 128 + signal.SIGTERM
    finally:
        process.kill()
