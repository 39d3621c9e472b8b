"""Jobs on this machine with real drivers and processes: failures, retries, timeouts, signals."""

import signal
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from dev.tests.preflight.broken import findings_of
from dev.tests.runner.bundles import Running, bundle, left, project, waits
from sensor_streams.checkpoint.offsets import position_of
from sensor_streams.streams import STREAMS
from sensor_streams_dev.simulate import Simulation, simulate
from tests.plant import Plant
from tests.policies.edits import set_in_job

pytestmark = pytest.mark.slow
ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
# A stream with foreachBatch and a Python UDF, so that Spark calls back the task and starts Python workers.
STREAMING = """
import pathlib
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.builder.getOrCreate()
twice = F.udf(lambda value: value * 2, "long")
here = pathlib.Path(__file__).parent
def write(batch, number):
    # The first batch may be empty, and then starts no worker.
    if batch.select(twice("value")).collect():
        (here / "a-1.ready").write_text(str(number))
rows = spark.readStream.format("rate").option("rowsPerSecond", 5).load()
rows.writeStream.foreachBatch(write).trigger(processingTime="1 second").start().awaitTermination()
"""


def at(event: dict[str, str]) -> datetime:
    return datetime.fromisoformat(event["at"])


def test_a_killed_task_or_driver_fails_only_its_own_tasks(tmp_path: Path) -> None:
    interval, tick = timedelta(seconds=20), timedelta(seconds=2)
    retried: dict[str, Any] = {"max_retries": 1, "min_retry_interval_millis": 20_000}
    folder = bundle(tmp_path, [waits("a", **retried), waits("b"), waits("c"), waits("d", "other")])
    with Running(folder) as running:
        pids = {key: running.pid(key) for key in "abcd"}
        driver = {one["task"]: one["cluster"] for one in running.find("process")}
        assert driver["a"] == driver["b"] == driver["c"] != driver["d"]
        applications = {key: (folder / f"{key}-1.ready").read_text() for key in "abcd"}
        assert applications["a"] == applications["b"] == applications["c"] != applications["d"]
        tree = running.tree()
        assert sorted(one.pid for one in tree if one.name() == "java") == sorted(running.drivers())
        assert len(running.drivers()) == 2
        # A killed task is retried up to its limit; the other tasks run on.
        psutil.Process(pids["a"]).kill()
        second = running.pid("a", 2)
        (begun,) = running.find("attempt", task="a", state="PENDING", number=1)
        (ended,) = running.find("attempt", task="a", state="TERMINATED", number=1)
        (retry,) = running.find("retry", task="a")
        (again,) = running.find("attempt", task="a", state="RUNNING", number=2)
        due = datetime.fromisoformat(retry["next_at"])
        assert due == max(at(begun) + interval, at(ended)), "the interval counts from start to start"
        assert due <= at(again) < due + tick
        psutil.Process(second).kill()
        running.until(lambda: running.find("task", task="a", state="TERMINATED", result="FAILED"))
        assert len(running.find("process", task="a")) == 2
        assert all(psutil.pid_exists(pids[key]) for key in "bcd")
        # A killed driver fails all its tasks; the task of the other driver runs on.
        of_main = next(int(one["pid"]) for one in running.find("driver") if one["cluster"] == driver["b"])
        psutil.Process(of_main).kill()
        for key in "bc":
            (ended,) = running.until(partial(running.find, "attempt", task=key, state="TERMINATED"))
            assert (ended["result"], ended["code"]) == ("FAILED", "DRIVER_ERROR")
        assert psutil.pid_exists(pids["d"])
        assert running.find("attempt", task="d", state="TERMINATED") == []
        running.finish("d")
        running.until(lambda: running.find("attempt", task="d", result="SUCCESS"))
        assert running.wait() == 1
    assert left(tree) == []


def test_an_attempt_that_hangs_times_out_and_is_retried(tmp_path: Path) -> None:
    # Task `before` starts the driver, so that its start does not count towards the timeout.
    limit: dict[str, Any] = {"timeout_seconds": 25, "retry_on_timeout": True, "max_retries": 1}
    folder = bundle(tmp_path, [waits("before"), waits("a", depends_on=[{"task_key": "before"}], **limit)])
    with Running(folder) as running:
        running.pid("before")
        running.finish("before")
        first = running.pid("a")
        (ended,) = running.until(lambda: running.find("attempt", task="a", result="TIMEDOUT"))
        (begun,) = running.find("attempt", task="a", state="PENDING", number=1)
        assert timedelta(seconds=25) <= at(ended) - at(begun) < timedelta(seconds=35)
        assert not psutil.pid_exists(first)
        running.finish("a", number=2)
        assert running.wait() == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_no_process_is_left_after_the_runner_ends(tmp_path: Path, how: signal.Signals) -> None:
    folder = bundle(tmp_path, [{"task_key": "a", "spark_python_task": {"python_file": "waiting.py"}}])
    (folder / "waiting.py").write_text(STREAMING, "utf-8")
    with Running(folder) as running:
        running.pid("a")
        tree = running.tree()
        # Runner, driver, task, Python daemon and workers.
        assert len(tree) >= 4, tree
        running.process.send_signal(how)
        code = running.wait()
    assert code == (-signal.SIGKILL if how is signal.SIGKILL else 130)
    assert left(tree) == []


def drained(plant: Plant, files: int) -> bool:
    """Return True once every file is ingested and every stream has read all of its sources."""
    if not plant.catalog.exists("ingested_files") or plant.count("ingested_files") < files:
        return False
    for stream in STREAMS:
        position = position_of(plant.folder / "checkpoints" / stream.name)
        if position.committed is None or position.unfinished:
            return False
        for source in stream.sources:
            if position.versions.get(plant.catalog.identify(source).table_id, -1) <= plant.version(source):
                return False
    return True


def checkpoints(plant: Plant) -> dict[str, str]:
    """Return stream → id of its checkpoint."""
    return {s.name: (plant.folder / f"checkpoints/{s.name}/checkpoint/metadata").read_text() for s in STREAMS}


def test_a_run_first_reports_the_policies_that_the_bundle_breaks(plant: Plant) -> None:
    folder = project(plant)
    set_in_job(folder, "shared_cluster", "tasks.0.max_retries", 77)
    with Running(folder, "--target", "dev", job="shared_cluster") as running:
        (start,) = running.until(lambda: running.find("start"))
        running.process.send_signal(signal.SIGINT)
        running.wait()
    # Other warnings are about code that is missing from the folder.
    (warning,) = (line for line in start["warnings"] if line.startswith("policy: "))
    assert warning.startswith("policy: resources/shared_cluster.job.yml:"), warning
    assert "max_retries is 77: write" in warning


def test_the_three_shapes_run_one_after_the_other_on_the_same_checkpoints(plant: Plant) -> None:
    folder, third = project(plant), timedelta(hours=2)
    simulation = Simulation(plant.fleet, devices=2, mean_life=timedelta(hours=2), malformed=0.01, duplicates=0.02)
    files = simulate(simulation, plant.landing, ORIGIN, ORIGIN + third).files
    with Running(folder, "--target", "dev", job="shared_cluster") as running:
        assert running.wait(200) == 0, running.output()
    assert len(running.drivers()) == 1
    assert len({one["pid"] for one in running.find("process")}) == 2
    ends = [
        (device.name, datetime.fromtimestamp(failed, UTC).isoformat())
        for device in simulation.all_devices()
        for _, failed in device.lives(int((ORIGIN + third).timestamp()))
    ]
    plant.train(ends)

    files += simulate(simulation, plant.landing, ORIGIN + third, ORIGIN + 2 * third).files
    quick = ["--target", "dev", "--var", "trigger=1 s"]
    with Running(folder, *quick, "--for", "120s", job="single_task") as running:
        holder = plant.folder / "checkpoints/readings/holder.json"
        running.until(holder.exists)
        (first,) = {one["run"] for one in running.find("run")}
        soon = {"SENSOR_STREAMS_LEASE_TIMEOUT": "6 s"}
        with Running(folder, "--target", "dev", job="shared_cluster", environment=soon) as second:
            (ended,) = second.until(lambda: second.find("attempt", task="feature_extraction", result="FAILED"))
            assert f"in use by run {first}, attempt 1" in ended["message"]
            second.process.send_signal(signal.SIGINT)
            assert second.wait() == 130
        assert running.wait(180) == 0, running.output()
    (summary,) = running.find("summary")
    assert summary["runs"][0]["ui"] == "RUNNING"
    assert {one["stream"] for one in summary["streams"]} == {stream.name for stream in STREAMS}
    before = checkpoints(plant)

    files += simulate(simulation, plant.landing, ORIGIN + 2 * third, ORIGIN + 3 * third).files
    with Running(folder, *quick, job="cluster_per_task") as running:
        # Each check uses Spark, and so slows down the job.
        running.until(lambda: drained(plant, files), 300, every=3)
        assert len(running.drivers()) == 2
        tree = running.tree()
        running.process.send_signal(signal.SIGINT)
        assert running.wait() == 130
    assert left(tree) == []
    assert checkpoints(plant) == before
    assert findings_of(plant) == {}, "preflight has no findings"
    assert plant.differing() == []
    lines, accepted, rejected, duplicates = plant.sums()
    assert lines == accepted + rejected + duplicates > 0
    assert plant.count("anomaly_scores") == plant.count("device_features") > 10
    key = ["device_id", "rule", "opened_at", "number"]
    events = plant.read("alert_events")
    assert events.count() == events.select(*key).distinct().count() > 0
