"""A stream that fails, ends or hangs is reported within two seconds, with its name and the cause."""

import re
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from sensor_streams.checkpoint.lease import Lease, this_process
from sensor_streams.error_causes import describe
from sensor_streams.errors import ModelError, StreamFailedError
from sensor_streams.incremental.regions import RegionScope
from sensor_streams.incremental.stream import Batch, ModelKind, Outcome
from sensor_streams.ingest import landing_scope
from sensor_streams.ingest.batch import ingest_batch
from sensor_streams.runtime.progress import ProgressTable
from sensor_streams.runtime.run_environment import RunEnvironment
from sensor_streams.runtime.supervisor import Supervisor
from sensor_streams.runtime.task import run_task
from sensor_streams.runtime.worker import Worker
from sensor_streams.streams import BY_NAME
from tests.plant import Plant, all_names, reading


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the times at which the supervisor stopped streams, right after it reported a failure."""
    times: list[float] = []
    begin_stop = Worker.begin_stop

    def begun(self: Worker) -> None:
        times.append(time.monotonic())
        begin_stop(self)

    monkeypatch.setattr(Worker, "begin_stop", begun)
    return times


def test_a_failing_stream_is_reported_within_two_seconds_with_stream_batch_and_cause(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, stops: list[float]
) -> None:
    plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5)])
    real = RegionScope.process_batch
    failed: list[float] = []

    def failing(scope: RegionScope, changes: DataFrame, batch: Batch) -> Outcome:
        if batch.stream.name == "device_sessions" and not changes.isEmpty():
            failed.append(time.monotonic())
            raise ZeroDivisionError("the sessions are broken")
        return real(scope, changes, batch)

    monkeypatch.setattr(RegionScope, "process_batch", failing)
    with pytest.raises(StreamFailedError) as report:
        plant.run("feature_extraction", trigger="1 s")
    assert stops[0] - failed[0] < 2
    last = str(report.value).splitlines()[-1]
    assert re.fullmatch(r"stream device_sessions, batch \d: ZeroDivisionError: the sessions are broken", last)
    assert len(report.value.failures) == 1, "streams that were stopped did not fail"
    # A batch that was cut off may need a moment to end.
    ended, deadline = threading.Event(), time.monotonic() + 10
    while [query for query in plant.spark.streams.active if query.name in all_names()]:
        assert time.monotonic() < deadline
        ended.wait(0.1)
    # The figures of the failed run are in the view.
    assert plant.count("stream_progress", "stream = 'readings' AND rows_in = 1") == 1


def test_a_query_that_ends_without_an_error_is_a_failure_in_a_continuous_run(plant: Plant) -> None:
    plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5)])

    def stop(_: object) -> None:
        for query in plant.spark.streams.active:
            if query.name == "readings":
                threading.Thread(target=query.stop, daemon=True).start()

    settings = plant.settings(trigger="1 s")
    with pytest.raises(
        StreamFailedError, match=r"stream readings, batch 0: SILENT_END: the query ended without an error"
    ):
        run_task(plant.spark, settings, ["readings"], fleet=plant.fleet, on_batch=stop)


@pytest.mark.slow
def test_a_batch_that_hangs_is_a_failure_and_a_wait_for_the_trigger_is_not(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, stops: list[float]
) -> None:
    hung: list[float] = []
    let_go = threading.Event()

    def hanging(rows: Any, landing: str, batch: int, *rest: Any) -> Outcome:
        if batch == 2:
            hung.append(time.monotonic())
            let_go.wait(60)
        return ingest_batch(rows, landing, batch, *rest)

    monkeypatch.setattr(landing_scope, "ingest_batch", hanging)
    files: Iterator[int] = iter(range(2, 10))

    def next_file(_: object) -> None:
        plant.land(f"{next(files)}.json", [reading("pump-1", "power", "00:00:00", 5)])

    plant.land("0.json", [reading("pump-1", "power", "00:00:00", 5)])
    # The first batch of a process is slow, so it is not measured.
    plant.run("readings")
    plant.land("1.json", [reading("pump-1", "power", "00:00:00", 5)])
    # The trigger interval is longer than the stall limit.
    settings = plant.settings(trigger="4 s", stall_after="1 s", stop_deadline="1 s")
    try:
        with pytest.raises(
            StreamFailedError, match="readings, batch 2: STALLED: no progress for 8 s while input waits"
        ):
            run_task(plant.spark, settings, ["readings"], fleet=plant.fleet, on_batch=next_file)
    finally:
        let_go.set()
    assert 8 <= stops[0] - hung[0] < 10
    # Stop the abandoned query before the next test.
    for query in plant.spark.streams.active:
        query.stop()


def test_a_new_model_starts_its_stream_while_another_stream_waits(plant: Plant) -> None:
    settings = plant.settings(trigger="1 s", model_interval="1 s")
    lease = Lease([], this_process("run", 1), timedelta(seconds=1))
    progress = ProgressTable(plant.catalog, "none", 60, RunEnvironment.of(plant.spark))
    closing = threading.Event()
    models: set[ModelKind] = set()

    def ready(kind: ModelKind) -> bool:
        if kind == "anomaly" and not models:
            raise ModelError("the registry is away")
        return kind in models

    workers = [
        Worker(BY_NAME[name], settings, plant.fleet, plant.catalog, lease, progress, None, closing)
        for name in ("anomaly_scores", "remaining_life")
    ]
    supervisor = Supervisor(workers, settings, lease, progress, closing, ready)

    def wait_until(expected: str) -> None:
        deadline = time.monotonic() + 10
        wait = threading.Event()
        while True:
            found = [supervisor.has_model(each) for each in workers]
            if expected in (str(found), ", ".join(each.state for each in workers)):
                return
            assert time.monotonic() < deadline, (found, expected)
            wait.wait(0.05)

    wait_until("WAITING_FOR_MODEL, WAITING_FOR_MODEL")
    models.add("remaining_life")
    wait_until("[False, True]")
    models.add("anomaly")
    wait_until("[True, True]")


def test_a_failure_names_the_innermost_cause(spark: SparkSession) -> None:
    def described(do: Any) -> str:
        try:
            do()
        except Exception as error:
            return str(describe("s", 3, error))
        raise AssertionError("nothing was raised")

    def broken(batches: Any) -> Any:
        raise ValueError("the true cause")

    jvm: Any = spark._jvm
    java = described(lambda: jvm.java.io.FileInputStream("/nowhere/at/all"))
    assert java == "stream s, batch 3: FileNotFoundException: /nowhere/at/all (No such file or directory)"
    python = described(lambda: spark.range(1).mapInPandas(broken, "id bigint").collect())
    assert python == "stream s, batch 3: ValueError: the true cause"
    sql = described(lambda: spark.sql("SELECT 1 / 0").collect())
    assert sql.startswith("stream s, batch 3: DIVIDE_BY_ZERO: [DIVIDE_BY_ZERO] Division by zero")
    empty: dict[str, int] = {}
    assert described(lambda: empty["x"]) == "stream s, batch 3: KeyError: 'x'"
