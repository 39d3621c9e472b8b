"""What `sensor-streams run` itself costs: time to the first task's start beyond the JVM's, and CPU while streams run.

make bench-run                          # a minute of single_task on a small fleet of its own
make bench-run ARGS="--seconds 120 --job cluster_per_task --json"
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from sensor_streams.fleet import load_fleet
from sensor_streams_dev.simulate import Simulation, simulate

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
DEVICES = 4


@dataclass
class Cost:
    """Seconds from the command to the first task's process, those of them in which the JVM started, what is left; the
    runner's own share of one core (per cent) from then on, over so many seconds; the machine's load at the end."""

    job: str
    to_first_task: float
    java: float
    own: float
    own_cpu_percent: float
    over_seconds: float
    load: float


def measure(job: str, seconds: float, folder: Path) -> Cost:
    """Run the job for so long on a small fleet's readings; nothing is kept."""
    landing = folder / "landing"
    simulate(Simulation(load_fleet("sensors.yml"), devices=DEVICES), landing, ORIGIN, ORIGIN + timedelta(days=1))
    words = ["run", job, "--target", "dev", "--json", "--for", f"{seconds:.0f}s", "--var", "trigger=5 s"]
    begun = time.time()
    runner = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "sensor_streams_dev.cli",
            *words,
            "--input",
            str(landing),
            "--home",
            str(folder / "home"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    own = psutil.Process(runner.pid)
    at: dict[str, float] = {}
    spent: list[tuple[float, float]] = []

    def sample() -> None:
        used = own.cpu_times()
        spent.append((time.monotonic(), used.user + used.system))

    assert runner.stdout is not None
    # Sampled before the job is stopped: stopping is no part of what it costs while streams run.
    last = threading.Timer(seconds * 0.9, sample)
    last.start()
    for line in runner.stdout:
        told = json.loads(line)
        kind = f"{told['event']} {told.get('state', '')}".strip()
        if kind in ("driver", "cluster RUNNING", "process") and kind not in at:
            at[kind] = datetime.fromisoformat(told["at"]).timestamp()
            if kind == "process":
                sample()
    if runner.wait() or len(spent) < 2:
        raise SystemExit(f"the run ended with {runner.returncode}: nothing was measured")
    java = at["cluster RUNNING"] - at["driver"]
    (first, before), (then, after) = spent
    return Cost(
        job,
        round(at["process"] - begun, 2),
        round(java, 2),
        round(at["process"] - begun - java, 2),
        round(100 * (after - before) / (then - first), 2),
        round(then - first, 1),
        round(psutil.getloadavg()[0], 1),
    )


def main() -> None:
    """Measure, and say it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", default="single_task")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="runner-") as folder:
        cost = measure(given.job, given.seconds, Path(folder))
    if given.json:
        print(json.dumps(asdict(cost)))
        return
    print(f"{cost.job}: {cost.to_first_task} s to the first task's process, {cost.java} s of them the JVM's start")
    print(f"the runner's own: {cost.own} s; then {cost.own_cpu_percent} % of a core over {cost.over_seconds} s")
    print(f"machine load {cost.load}")


if __name__ == "__main__":
    main()
