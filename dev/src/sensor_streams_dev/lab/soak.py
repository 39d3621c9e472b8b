"""Soak: one process of the single task works on thousands of micro-batches; nothing of it may grow."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from statistics import mean, median

import psutil

from dabs_lab.lab.job_process import JobProcess
from dabs_lab.lab.scene import Scene
from sensor_streams.errors import MachineError
from sensor_streams_dev.lab.lab_sets import DEVICES, HISTORY, MEAN_LIFE, ORIGIN
from sensor_streams_dev.lab.shapes import DEPLOYABLE
from sensor_streams_dev.lab.stage import LabStage, prepared
from sensor_streams_dev.simulate import Simulation, simulate

_EVERY = timedelta(minutes=15)
# The last stream that has a batch for every file.
_LAST = "device_features"
_FILE_SECONDS = 120.0
# Files between two samples.
_SAMPLE = 5
# Batches of the median: about those of one sample.
_RECENT = 40


@dataclass(frozen=True)
class Sample:
    """State of the process after a number of batches. batch_seconds: median of the last 40 batches."""

    batches: int
    seconds: float
    batch_seconds: float
    driver_mb: float
    python_mb: float
    threads: int
    open_files: int
    catalog_entries: int


def soak(folder: Path, batches: int, say: Callable[[str], None]) -> list[Sample]:
    """Let files arrive one by one until all streams together have had this many batches; return the samples.

    Raises MachineError if the job fails, its task is retried, or a file is not processed in time.
    """
    home = folder / "home"
    shape = DEPLOYABLE[0]
    stage = LabStage(prepared(folder, home, 1), home, shape, 1)
    # Each file gives at least four batches.
    waiting = small_files(stage, folder / "soak-files", batches // 4 + 1)
    samples: list[Sample] = []
    with Scene(stage, shape, lambda _: None) as scene:
        scene.start()
        (job,) = scene.jobs
        commits = scene.watch.commits
        for number, file in enumerate(waiting, 1):
            before = commits[_LAST][-1:]
            file.rename(stage.landing / file.name)
            ended = scene.reached(lambda before=before: commits[_LAST][-1:] != before or not job.alive, _FILE_SECONDS)  # type: ignore[misc]
            if not ended or not job.alive:
                raise MachineError(f"file {number} did not pass through the streams: see {stage.folder}")
            done = sum(map(len, commits.values()))
            if number % _SAMPLE == 0 or done >= batches:
                samples.append(_sample(job, stage, done, scene.now))
                one = samples[-1]
                say(
                    f"{done} batches: driver {one.driver_mb:.0f} MB, {one.threads} threads, "
                    f"{one.batch_seconds:.2f} s a batch"
                )
            if done >= batches:
                break
    return samples


def small_files(stage: LabStage, folder: Path, count: int) -> list[Path]:
    """Simulate a number of small files that follow the history of the stage's seed; return them in order."""
    start = ORIGIN + HISTORY
    simulation = Simulation(
        stage.fleet, seed=stage.seed, origin=ORIGIN, devices=DEVICES, files_every=_EVERY, mean_life=MEAN_LIFE
    )
    for old in folder.glob("*"):
        old.unlink()
    simulate(simulation, folder, start, start + _EVERY * count)
    return sorted(folder.iterdir())


def _sample(job: JobProcess, stage: LabStage, done: int, seconds: float) -> Sample:
    processes, drivers = job.find("process"), job.find("driver")
    if len(processes) > 1 or len(drivers) > 1:
        raise MachineError(f"the task was retried, and a soak needs one process: see {stage.folder}")
    (process,), (machine,) = processes, drivers
    lines = _progress(Path(str(process.data["log"])))
    driver, python = psutil.Process(int(machine.data["pid"])), psutil.Process(int(process.data["pid"]))
    entries = json.loads((stage.home / "catalog.json").read_text("utf-8"))
    return Sample(
        batches=done,
        seconds=round(seconds, 1),
        batch_seconds=round(median(lines[-_RECENT:]), 3) if lines else 0.0,
        driver_mb=round(driver.memory_info().rss / 2**20, 1),
        python_mb=round(python.memory_info().rss / 2**20, 1),
        threads=driver.num_threads() + python.num_threads(),
        open_files=driver.num_fds() + python.num_fds(),
        catalog_entries=len(entries),
    )


def _progress(log: Path) -> list[float]:
    found = []
    for line in log.read_text("utf-8", errors="replace").splitlines():
        if line.startswith('{"stream": '):
            with suppress(ValueError, KeyError):
                found.append(float(json.loads(line)["seconds"]))
    return found


def growth(samples: Sequence[Sample], field: str) -> float:
    """Return the last quarter's mean of a field divided by that of the second quarter; 1 for less than four samples."""
    quarter = len(samples) // 4
    if not quarter:
        return 1.0
    values = [float(getattr(sample, field)) for sample in samples]
    return mean(values[-quarter:]) / (mean(values[quarter : 2 * quarter]) or 1.0)


_FIELDS = {
    "batch_seconds": "seconds of a batch",
    "driver_mb": "driver, MB",
    "python_mb": "Python process, MB",
    "threads": "threads",
    "open_files": "open files",
    "catalog_entries": "catalog entries",
}
_WIDTH, _HEIGHT, _GAP = 640, 80, 34


def write_soak(samples: Sequence[Sample], folder: Path) -> None:
    """Write `soak.json` and the picture `soak.svg`."""
    fields = {name: round(growth(samples, name), 3) for name in _FIELDS}
    whole = {"growth": fields, "samples": [asdict(sample) for sample in samples]}
    (folder / "soak.json").write_text(json.dumps(whole, indent=1), "utf-8")
    rows = [_chart(samples, name, title, at) for at, (name, title) in enumerate(_FIELDS.items())]
    height = (_HEIGHT + _GAP) * len(_FIELDS) + _GAP
    end = f"{samples[-1].batches:,} micro-batches in {samples[-1].seconds / 60:.0f} minutes"
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH + 180} {height}" font-family="sans-serif" '
        f'font-size="13"><rect width="100%" height="100%" fill="white"/>{"".join(rows)}'
        f'<text x="160" y="{height - 12}" fill="#555">{end}, one process</text></svg>\n'
    )
    (folder / "soak.svg").write_text(text, "utf-8")


def _chart(samples: Sequence[Sample], field: str, title: str, at: int) -> str:
    values = [float(getattr(sample, field)) for sample in samples]
    top, last = max(values) or 1.0, samples[-1].batches
    base = (at + 1) * (_HEIGHT + _GAP)
    points = " ".join(
        f"{160 + _WIDTH * sample.batches / last:.1f},{base - _HEIGHT * value / top:.1f}"
        for sample, value in zip(samples, values, strict=True)
    )
    return (
        f'<text x="150" y="{base - _HEIGHT / 2}" text-anchor="end">{title}</text>'
        f'<text x="150" y="{base - _HEIGHT / 2 + 16}" text-anchor="end" fill="#555">up to {top:,.4g}</text>'
        f'<path d="M160 {base}h{_WIDTH}" stroke="#bbb"/>'
        f'<polyline points="{points}" fill="none" stroke="#0b5cad" stroke-width="1.5"/>'
    )
