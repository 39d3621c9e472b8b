"""Other engines, for orientation (P8): the tables of streams 1 to 3 from the same files, by DuckDB and by Pathway.

They are not packages of this project. Install them into another environment, and give its Python:

    python -m venv .local/engines && .local/engines/bin/pip install duckdb pathway
    BENCH_PYTHON=.local/engines/bin/python make bench ARGS="--only P8"

Each engine reads all files once and writes the three tables: ours to Delta, DuckDB to Parquet, Pathway to CSV. The
times are wall times without the start of Python and of the JVM, which a warm-up round warms. The lines have repeated
ones among them and no wrong ones, because the rivals check a line's range only. Before a time counts, number of rows,
sum of counts, and the sum of some statistics must be equal in all engines.
"""

import json
import math
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from benchmarks.measurement import Measurement, Ratio, Result
from benchmarks.record import say, spread
from benchmarks.simulated_home import ORIGIN, ROOT, opened_home
from sensor_streams.fleet import Fleet, load_fleet
from sensor_streams.runtime.progress import BatchFigures
from sensor_streams.runtime.task import run_task
from sensor_streams_dev.simulate import Simulation, simulate

LINES = 200_000
# So many that the simulated time is short: a day later the clock of a device is wrong, and ours rejects its lines.
DEVICES = 160
TABLES = ("readings", "sensor_features", "device_features")
ENGINES = {"DuckDB, full recomputation": "duckdb_tables.py", "Pathway, exact with late lines": "pathway_tables.py"}
_MISSING = "P8 needs the packages of other engines: pip install duckdb pathway, and give that Python as BENCH_PYTHON"


@dataclass(frozen=True)
class Outcome:
    """Seconds of one engine, and totals of its tables: rows and sum of counts by table, sum of some statistics.

    batches: seconds of all batches, for streams; the rest of the time starts and ends the task.
    """

    seconds: float
    totals: dict[str, int]
    sum: float
    batches: float = 0.0

    def refuse_difference(self, other: "Outcome", name: str) -> None:
        """Raise ValueError unless the totals are equal."""
        if self.totals != other.totals or not math.isclose(self.sum, other.sum, rel_tol=1e-9):
            raise ValueError(
                f"{name} computed other tables: {other.totals}, {other.sum}; ours: {self.totals}, {self.sum}"
            )


def task_of(fleet: Fleet, landing: Path, output: Path) -> dict[str, Any]:
    """Return the task of a rival: folders, windows (seconds), sensors with range and period (seconds)."""
    sensors = {}
    for name, sensor in fleet.sensors.items():
        low, high = sensor.range or (-1e308, 1e308)
        sensors[name] = {"low": low, "high": high, "period": sensor.period.total_seconds()}
    return {
        "landing": str(landing),
        "output": str(output),
        "short": fleet.short_seconds,
        "long": fleet.long_seconds,
        "lookback": fleet.windows.lookback,
        "device_type": next(iter(fleet.device_types)),
        "sensors": sensors,
    }


def ours(folder: Path, landing: Path) -> Outcome:
    """Run streams 1 to 3 in a new home."""
    home = opened_home(folder, landing)
    spark, fleet = home.spark, home.fleet
    batches: list[BatchFigures] = []
    begin = time.monotonic()
    run_task(spark, home.settings, TABLES, fleet=fleet, on_batch=batches.append)
    seconds = time.monotonic() - begin
    totals = {"readings": home.catalog.read("readings").count()}
    for name in TABLES[1:]:
        row = home.catalog.read(name).agg(F.count(F.lit(1)), F.sum("count")).first()
        assert row is not None
        totals[name], totals[f"{name}.count"] = int(row[0]), int(row[1])
    columns = [F.sum(f"{sensor}_{one}") for sensor in fleet.sensors for one in ("mean", "max")]
    sums = home.catalog.read("device_features").agg(*columns).first()
    assert sums is not None
    return Outcome(seconds, totals, sum(map(float, sums)), sum(batch.seconds for batch in batches))


def rival(python: str, script: str, folder: Path, task: dict[str, Any]) -> Outcome:
    """Run the script of another engine in a process of its own."""
    file = folder.with_suffix(".json")
    folder.mkdir()
    file.write_text(json.dumps(task), encoding="utf-8")
    # Pathway uses one thread unless this says more; DuckDB uses all cores.
    environment = {**os.environ, "PATHWAY_THREADS": str(os.cpu_count() or 1)}
    command = [python, str(Path(__file__).with_name(script)), str(file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    return Outcome(found["seconds"], found["totals"], found["sum"])


def run(folder: Path, rounds: int) -> Result:
    """Measure the engines in turns."""
    python = os.environ.get("BENCH_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import duckdb, pathway"], capture_output=True, check=False).returncode:
        raise SystemExit(_MISSING)
    fleet, landing = load_fleet(ROOT / "sensors.yml"), folder / "landing"
    per_day = DEVICES * sum(timedelta(days=1) / sensor.period for sensor in fleet.sensors.values())
    simulation = Simulation(
        fleet, origin=ORIGIN, devices=DEVICES, files_every=timedelta(hours=2), conflicts=0, malformed=0
    )
    written = simulate(simulation, landing, ORIGIN, ORIGIN + timedelta(days=LINES / per_day))
    seconds: dict[str, list[float]] = {name: [] for name in ("ours", *ENGINES)}
    batches = []
    for number in range(rounds + 1):
        own = ours(folder / f"home-{number}", landing)
        outcomes = {"ours": own}
        for at, (name, script) in enumerate(ENGINES.items()):
            output = folder / f"engine-{at}-{number}"
            outcomes[name] = rival(python, script, output, task_of(fleet, landing, output))
            own.refuse_difference(outcomes[name], name)
        say(", ".join(f"{name} {one.seconds:.1f} s" for name, one in outcomes.items()))
        if number:
            batches.append(own.batches)
            for name, one in outcomes.items():
                seconds[name].append(one.seconds)
    ratios = [Ratio(f"streams 1 to 3 / {name}", seconds["ours"], seconds[name], "s") for name in ENGINES]
    return Result(ratios, figures={"lines": written.lines, "batches": spread(batches), "totals": own.totals})


TITLE = f"streams 1 to 3 on {LINES:,} lines, next to other engines (not in the default run: needs their packages)"
MEASUREMENTS = [Measurement("P8", TITLE, 4, run, rounds=3, by_default=False)]
