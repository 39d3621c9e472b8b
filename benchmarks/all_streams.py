"""Readings per second and peak memory of all eight streams, for a million readings in batches of 250,000."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.measurement import Measurement, Result
from benchmarks.memory import Memory
from benchmarks.record import say, spread
from benchmarks.simulated_home import FILES_PER_SET, FileSets, Processed, opened_home, refuse_differences, summary
from sensor_streams.failures import load_failures
from sensor_streams.runtime.progress import BatchFigures
from sensor_streams.runtime.task import run_task
from sensor_streams.runtime.worker import Worker
from sensor_streams.streams import TASKS
from sensor_streams_dev.local_home import LocalHome

BATCH, BATCHES = 250_000, 4


def all_streams(folder: Path, rounds: int, batch: int, batches: int) -> Result:
    """Let all streams process `batches` batches of `batch` lines in each round, after a batch that warms up."""
    home = opened_home(folder / "home", folder / "landing", max_files=FILES_PER_SET)
    files = FileSets.simulated(home.fleet, folder, 1 + rounds * batches, batch)
    files.land()
    _process(home, ["feature_extraction"])
    load_failures(home.catalog, folder / "failures.jsonl")
    say("training")
    home.train()
    _process(home, ["inference"])
    found, lines = [], []
    for _ in range(rounds):
        lines.append(sum(files.land() for _ in range(batches)))
        found.append(_process(home, TASKS))
    by_round = list(zip(lines, found, strict=True))
    per_second = {
        name: spread([count / one.seconds[name] for count, one in by_round if name in one.seconds])
        for name in found[0].seconds
    }
    figures = {
        "lines": spread(lines),
        **summary(found),
        "lines_per_second": per_second,
        "differing": refuse_differences(home.verify()),
    }
    return Result(figures=figures)


def _process(home: LocalHome, tasks: Sequence[str]) -> Processed:
    """Run the tasks, one after the other, until their input is processed."""
    workers: list[Worker] = []
    seconds: dict[str, float] = {}

    def started(new: Sequence[Worker]) -> None:
        workers[:] = new

    def batch(figures: BatchFigures) -> None:
        seconds[figures.stream] = seconds.get(figures.stream, 0.0) + figures.seconds
        say(f"{figures.stream}: batch {figures.batch_id}, {figures.rows_in:,} in, {figures.seconds:.1f} s")

    def running() -> list[str]:
        return [worker.stream.name for worker in workers if worker.active]

    with Memory(running) as memory:
        for task in tasks:
            run_task(home.spark, home.settings, [task], fleet=home.fleet, on_batch=batch, on_start=started)
    return Processed(seconds, memory.peaks)


MEASUREMENTS = [
    Measurement(
        "streams",
        "all eight streams, a million readings",
        6,
        partial(all_streams, batch=BATCH, batches=BATCHES),
        rounds=1,
        by_default=False,
    ),
]
