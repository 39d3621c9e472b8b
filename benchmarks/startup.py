"""Start of a cold process: the first batch of a JVM (P7), and the demo on one small file (P9).

P7: a new process starts a session and reads the first part of the demo, about 160,000 lines, in one batch of the
stream `readings`. P9: the command of `make demo INPUT=FOLDER` on a folder with one file of 400 lines, in a home of its
own. The file is the begin of the simulator's, so it has no failures, and the demo trains no models.
"""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measurement import Measurement, Result
from benchmarks.record import say
from benchmarks.simulated_home import ORIGIN, ROOT, opened_home
from sensor_streams.fleet import load_fleet
from sensor_streams.runtime.progress import BatchFigures
from sensor_streams.runtime.task import run_task
from sensor_streams_dev.demo import FIRST
from sensor_streams_dev.simulate import Simulation, simulate

# Simulated time of the files of P7: the first part of the demo.
SPAN = FIRST
LINES = 400


def first_batch(home: Path, landing: Path) -> dict[str, float]:
    """Start a session, read a folder with the stream `readings`; return the seconds of both and the lines read.

    Only in a new process: another session would be reused.
    """
    place = opened_home(home, landing)
    begin = time.monotonic()
    spark = place.spark
    session = time.monotonic() - begin
    batches: list[BatchFigures] = []
    run_task(spark, place.settings, ["readings"], fleet=place.fleet, on_batch=batches.append)
    return {"session": session, "batch": batches[0].seconds, "lines": batches[0].rows_in}


def cold_jvm(folder: Path, rounds: int) -> Result:
    """Measure the first batch of new processes."""
    landing = folder / "landing"
    written = simulate(Simulation(load_fleet(ROOT / "sensors.yml"), origin=ORIGIN), landing, ORIGIN, ORIGIN + SPAN)
    session, batch = [], []
    for number in range(rounds):
        command = [sys.executable, "-m", "benchmarks.startup", str(folder / f"home-{number}"), str(landing)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout)
        if found["lines"] != written.lines:
            raise SystemExit(f"the first batch read {found['lines']} lines, not {written.lines}")
        session.append(found["session"])
        batch.append(found["batch"])
        say(f"session {session[-1]:.1f} s, first batch {batch[-1]:.1f} s")
    lines = f"{written.lines:,} lines"
    name = f"first batch of `readings` in a cold JVM, {lines}, s (goal ≤ 10)"
    return Result(values={name: batch, "start of the session before it, s": session}, figures={"lines": written.lines})


def small_demo(folder: Path, rounds: int) -> Result:
    """Measure the demo on a file of 400 lines."""
    landing, drafts = folder / "input", folder / "simulated"
    # Readings of today: older ones than `accept.oldest` would all be rejected.
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=6)
    simulate(Simulation(load_fleet(ROOT / "sensors.yml"), origin=begin), drafts, begin, begin + timedelta(hours=6))
    lines = next(drafts.glob("*.json")).read_bytes().splitlines(keepends=True)[:LINES]
    landing.mkdir()
    (landing / "readings.json").write_bytes(b"".join(lines))
    seconds = []
    for number in range(rounds):
        command = [sys.executable, "-m", "sensor_streams_dev.cli", "demo", "--input", str(landing)]
        started = time.monotonic()
        done = subprocess.run(
            [*command, "--home", str(folder / f"home-{number}")], cwd=ROOT, capture_output=True, text=True, check=False
        )
        seconds.append(time.monotonic() - started)
        if done.returncode:
            raise SystemExit(f"the demo failed:\n{done.stdout}{done.stderr}")
        say(f"demo: {seconds[-1]:.1f} s")
    return Result(values={f"`make demo INPUT=…`, one file of {len(lines)} lines, s (goal ≤ 30)": seconds})


MEASUREMENTS = [
    Measurement("P7", "first batch of a cold JVM", 2, cold_jvm, rounds=3),
    Measurement("P9", "demo on one file of 400 lines", 3, small_demo, rounds=3),
]

if __name__ == "__main__":
    print(json.dumps(first_batch(Path(sys.argv[1]), Path(sys.argv[2]))))
