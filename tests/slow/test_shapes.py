"""The tasks of the three deployable shapes, as processes: a third of the data through each, on the same checkpoints."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sensor_streams.runtime.positions import position_of
from sensor_streams.simulate import Simulation, simulate
from sensor_streams.streams import STREAMS
from tests.bundle.golden import read
from tests.plant import Plant
from tests.preflight.broken import said_of
from tests.slow.waiting import until

pytestmark = pytest.mark.runs
ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
START = (
    "from importlib.metadata import entry_points as e; (p,) = e(group='sensor_streams.tasks', name={!r}); p.load()()"
)


def tasks_of(shape: str) -> list[dict[str, Any]]:
    """The tasks of a deployed job, in the order in which they would start."""
    tasks: list[dict[str, Any]] = read("prod").resources["jobs"][shape]["tasks"]
    return sorted(tasks, key=lambda task: len(task.get("depends_on", [])))


@contextmanager
def started(plant: Plant, task: dict[str, Any], run: str) -> Iterator[subprocess.Popen[str]]:
    """A task's process, with the parameters that stand in the job's file."""
    wheel = task["python_wheel_task"]
    named = plant.as_parameters(wheel["named_parameters"], run)
    # Triggers are shorter here than a deployment's, so that nobody waits; what they are is kept.
    named["trigger"] = "available-now" if named["trigger"] == "available-now" else "1 s"
    log = plant.folder / f"{run}-{task['task_key']}.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", START.format(wheel["entry_point"]), *[f"--{n}={v}" for n, v in named.items()]],
            env=plant.cluster_environment(),
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(20)


def drained(plant: Plant, files: int, *tasks: str) -> bool:
    """True when every file is recorded and every stream (of these tasks) has read all that its sources hold."""
    if not plant.catalog.exists("ingested_files") or plant.count("ingested_files") < files:
        return False
    for stream in [stream for stream in STREAMS if not tasks or stream.task in tasks]:
        position = position_of(plant.folder / "checkpoints" / stream.name)
        if position.committed is None or position.unfinished:
            return False
        for source in stream.sources:
            table = plant.catalog.identify(source).table_id
            if position.versions.get(table, -1) <= plant.version(source):
                return False
    return True


def logs(plant: Plant) -> str:
    """The last of what each task said."""
    return "".join(f"{log.name}\n{log.read_text()[-1500:]}\n" for log in plant.folder.glob("*.log"))


def test_going_from_one_shape_to_another_keeps_every_checkpoint(plant: Plant) -> None:
    simulation = Simulation(plant.fleet, devices=2, mean_life=timedelta(hours=2), malformed=0.01, duplicates=0.02)
    third = timedelta(hours=2)
    files = simulate(simulation, plant.landing, ORIGIN, ORIGIN + third).files
    (single,) = tasks_of("single_task")
    with started(plant, single, "first") as process:
        until(lambda: drained(plant, files, "feature_extraction"), 240, process, told=lambda: logs(plant))
        # Inference waits for a model, and begins by itself when there is one.
        ends = [
            (device.name, datetime.fromtimestamp(failed, UTC).isoformat())
            for device in simulation.all_devices()
            for _, failed in device.lives(int((ORIGIN + third).timestamp()))
        ]
        plant.train(ends)
        until(lambda: drained(plant, files), 240, process, told=lambda: logs(plant))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) != 0, "an endless run that was stopped is no success"
    ids = {s.name: (plant.folder / f"checkpoints/{s.name}/checkpoint/metadata").read_text() for s in STREAMS}

    files += simulate(simulation, plant.landing, ORIGIN + third, ORIGIN + 2 * third).files
    for task in tasks_of("shared_cluster"):
        with started(plant, task, "second") as process:
            assert process.wait(240) == 0, (plant.folder / f"second-{task['task_key']}.log").read_text()[-3000:]
    assert drained(plant, files)

    files += simulate(simulation, plant.landing, ORIGIN + 2 * third, ORIGIN + 3 * third).files
    features, inference = tasks_of("cluster_per_task")
    with started(plant, features, "third") as one, started(plant, inference, "third") as two:
        until(lambda: drained(plant, files), 240, one, two, told=lambda: logs(plant))
        for process in (one, two):
            process.send_signal(signal.SIGTERM)
        for process in (one, two):
            process.wait(60)

    assert {s.name: (plant.folder / f"checkpoints/{s.name}/checkpoint/metadata").read_text() for s in STREAMS} == ids
    assert said_of(plant) == {}, "preflight has nothing to say"
    assert plant.differing() == []
    lines, accepted, rejected, duplicates = plant.sums()
    assert lines == accepted + rejected + duplicates > 0
    key = ["device_id", "rule", "opened_at", "number"]
    events = plant.read("alert_events")
    assert events.count() == events.select(*key).distinct().count()
    assert plant.count("anomaly_scores") == plant.count("device_features") > 10
