"""Faults with real processes: kill -9 between writes, signals, two runs at once."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dabs_lab.runner.driver import Driver, environment_of_driver
from dabs_lab.runner.local_config import ClusterSizes
from dev.tests.slow.waiting import until
from sensor_streams.errors import CheckpointInUseError
from sensor_streams_dev.simulate import Simulation, simulate
from tests.plant import ARRIVAL, QUICK, Plant, all_names, reading

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
# What every JVM takes, whoever starts it.
QUICKLY = {**os.environ, "JAVA_TOOL_OPTIONS": QUICK}


def endless(plant: Plant, run: str) -> subprocess.Popen[str]:
    """Two streams in a process of their own, without an end."""
    command = [
        sys.executable,
        "-m",
        "sensor_streams_dev.cli",
        "stream",
        "readings",
        "sensor_features",
        "--trigger",
        "1 s",
    ]
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


class Cluster:
    """A driver that outlives the processes of its tasks, as a job's cluster does; a new one where it was killed."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.environment = environment_of_driver({**QUICKLY, "PYTHONUNBUFFERED": "1"})
        self.driver: Driver | None = None

    def run(self, attempt: int, writes: int, *, all_dies: bool) -> int:
        """Run all streams as an attempt of one run that kills itself after so many writes; its exit code.

        all_dies: the driver is killed too, with whatever it is doing for the other streams.
        """
        driver = self._up()
        gateway = driver.open()
        words = ["file", str(ROOT / "dev/tests/slow/killed.py"), str(writes), f"--streams={','.join(all_names())}"]
        settings = self.plant.settings_file(progress_interval="1 hour")
        who = [f"--settings={settings}", "--run=nightly", f"--attempt={attempt}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "dabs_lab.runner.task_process", *words, *who],
            env={**self.environment, **gateway.environment()},
            cwd=ROOT,
            # It ends when this pipe closes.
            stdin=subprocess.PIPE,
            stdout=(self.plant.folder / f"attempt-{attempt}.log").open("w"),
            stderr=subprocess.STDOUT,
        )
        try:
            code = process.wait(180)
        finally:
            process.kill()
            if all_dies:
                driver.process.kill()
                self.stop()
            else:
                gateway.close()
        return code

    def told(self, attempt: int) -> str:
        """The last that an attempt said."""
        return (self.plant.folder / f"attempt-{attempt}.log").read_text("utf-8")[-2000:]

    def stop(self) -> None:
        if self.driver is not None:
            self.driver.stop()
        self.driver = None

    def _up(self) -> Driver:
        if self.driver is None:
            folder = self.plant.folder
            sizes = ClusterSizes(memory="1g", cores=1)
            log, warehouse = folder / "driver.log", folder / "warehouse"
            self.driver = Driver("kills", sizes, {}, self.environment, log, warehouse, ROOT)
            self.driver.connect()
        return self.driver


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
    teacher.create("readings", "sensor_features", "device_features")
    teacher.ingest()
    teacher.follow("sensor_features", "device_features")
    teacher.train(
        [
            (device.name, datetime.fromtimestamp(failed, UTC).isoformat())
            for device in simulation.all_devices()
            for _, failed in device.lives(int(end.timestamp()))
        ]
    )
    models = teacher.settings()
    plant.store = {"tracking_uri": models.tracking_uri, "registry_uri": models.registry_uri}
    # After each single write of ingestion, then after two, and three: a restart begins with the write that is next.
    cluster, killed = Cluster(plant), 0
    try:
        for attempt, writes in enumerate([1, 1, 1, 2, 2, 3, 99], 1):
            code = cluster.run(attempt, writes, all_dies=attempt in (2, 5))
            if code == 0:
                break
            assert code == -signal.SIGKILL, cluster.told(attempt)
            killed += 1
    finally:
        cluster.stop()
    assert code == 0
    assert killed >= 6
    assert plant.differing() == []
    assert plant.sums() == teacher.sums()
    assert plant.count("anomaly_scores") == plant.count("device_features") == teacher.count("device_features") > 10
    key = ["device_id", "rule", "opened_at", "number"]
    events = plant.read("alert_events")
    assert events.count() == events.select(*key).distinct().count() > 0
    # Once more with all batches done.
    before = {name: plant.version(name) for name in all_names()}
    plant.run("feature_extraction", run="nightly", attempt=99)
    assert {name: plant.version(name) for name in all_names()} == before


def test_a_second_run_is_refused_sigterm_ends_in_order_and_kill_9_locks_nobody_out(plant: Plant) -> None:
    plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5)])
    first = endless(plant, "night-1")
    try:
        until(lambda: committed(plant), 120, first, told=lambda: said(first))
        with pytest.raises(CheckpointInUseError, match=r"in use by run night-1, attempt 1, since 20") as refused:
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
