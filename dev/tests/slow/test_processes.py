"""Faults of real processes: kill -9 between writes, signals, two runs at once."""

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
from sensor_streams_dev.java_options import FEW_ROWS
from sensor_streams_dev.simulate import Simulation, simulate
from tests.plant import ARRIVAL, Plant, all_names, reading

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
# Options of every JVM.
ENVIRONMENT = {**os.environ, "JAVA_TOOL_OPTIONS": FEW_ROWS}


def continuous_run(plant: Plant, run: str) -> subprocess.Popen[str]:
    """Start two continuous streams in their own process."""
    command = [sys.executable, "-m", "sensor_streams_dev.cli", "stream", "readings", "sensor_features"]
    command += ["--trigger", "1 s", "--run", run, "--settings", str(plant.settings_file())]
    command += ["--local", str(ROOT / "local.yml"), "--home", str(plant.folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT)


def output_of(process: subprocess.Popen[str]) -> str:
    """Return the output of a process that has ended, else an empty string."""
    return "" if process.poll() is None else str(process.communicate())


def committed(plant: Plant) -> bool:
    """Return True once the second stream has committed a batch."""
    return any((plant.folder / "checkpoints/sensor_features/checkpoint/commits").glob("[0-9]*"))


class Cluster:
    """A driver that outlives the processes of its tasks, as a job cluster does; it restarts after a kill."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.environment = environment_of_driver({**ENVIRONMENT, "PYTHONUNBUFFERED": "1"})
        self.driver: Driver | None = None

    def run(self, attempt: int, writes: int, *, kill_driver: bool) -> int:
        """Run all streams as an attempt that kills itself after `writes` writes; return its exit code.

        kill_driver: kill the driver too, in the middle of its work for the other streams.
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
            # The process ends when this pipe closes.
            stdin=subprocess.PIPE,
            stdout=(self.plant.folder / f"attempt-{attempt}.log").open("w"),
            stderr=subprocess.STDOUT,
        )
        try:
            code = process.wait(180)
        finally:
            process.kill()
            if kill_driver:
                driver.process.kill()
                self.stop()
            else:
                gateway.close()
        return code

    def output(self, attempt: int) -> str:
        """Return the end of an attempt's output."""
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


def test_kill_9_between_any_two_writes_of_a_batch_loses_and_repeats_no_row(plant: Plant) -> None:
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
    # Another plant trains the model, because here the first batch of every stream needs a champion.
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
    # Kill after each write of ingestion, then after two, then three. A restart continues with the next write.
    cluster, killed = Cluster(plant), 0
    try:
        for attempt, writes in enumerate([1, 1, 1, 2, 2, 3, 99], 1):
            code = cluster.run(attempt, writes, kill_driver=attempt in (2, 5))
            if code == 0:
                break
            assert code == -signal.SIGKILL, cluster.output(attempt)
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
    # A run without new input writes nothing.
    before = {name: plant.version(name) for name in all_names()}
    plant.run("feature_extraction", run="nightly", attempt=99)
    assert {name: plant.version(name) for name in all_names()} == before


def test_a_second_run_is_refused_sigterm_releases_the_lease_and_a_retry_after_kill_9_does_not_wait(
    plant: Plant,
) -> None:
    plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5)])
    first = continuous_run(plant, "night-1")
    try:
        until(lambda: committed(plant), 120, first, output=lambda: output_of(first))
        with pytest.raises(CheckpointInUseError, match=r"in use by run night-1, attempt 1, since 20") as refused:
            plant.run("readings", run="night-2", lease_timeout="8 s")
        assert str(first.pid) in str(refused.value)
        sent = time.monotonic()
        first.send_signal(signal.SIGTERM)
        _, errors = first.communicate(timeout=40)
    finally:
        first.kill()
    assert time.monotonic() - sent < 30
    assert first.returncode == 130, "a stopped continuous run has not succeeded"
    assert "stopped by a signal" in errors.splitlines()[-1]
    assert not (plant.folder / "checkpoints/readings/holder.json").exists()

    plant.land("b.json", [reading("pump-1", "power", "00:01:00", 5)], ARRIVAL + timedelta(hours=1))
    second = continuous_run(plant, "night-3")
    try:
        holder = plant.folder / "checkpoints/readings/holder.json"
        until(holder.exists, 60, second, output=lambda: output_of(second))
        second.kill()
        second.wait(20)
    finally:
        second.kill()
    start = time.monotonic()
    plant.run("readings", "sensor_features", run="night-3", attempt=2, lease_timeout="10 min")
    assert time.monotonic() - start < 300, "the next attempt does not wait for the old lease"
    assert plant.differing() == []
    assert plant.count("readings") == 2


def test_a_second_sigterm_ends_the_process_at_once(plant: Plant) -> None:
    plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5)])
    process = continuous_run(plant, "night-1")
    try:
        until(lambda: committed(plant), 120, process, output=lambda: output_of(process))
        os.kill(process.pid, signal.SIGTERM)
        os.kill(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + 5
        while process.poll() is None and time.monotonic() < deadline:
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGTERM)
        assert process.returncode == 128 + signal.SIGTERM
    finally:
        process.kill()
