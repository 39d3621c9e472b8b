"""Cost of `sensor-streams run`: time to the first task without the JVM, and CPU while streams run.

make bench-run                          # one minute of single_task on a small simulated fleet
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
    """Seconds from the command to the first task's process: total, start of the JVM, rest (`own`). Then the runner's
    CPU in per cent of one core, the seconds over which it was measured, and the machine's load."""

    job: str
    to_first_task: float
    java: float
    own: float
    own_cpu_percent: float
    over_seconds: float
    load: float


def measure(job: str, seconds: float, folder: Path) -> Cost:
    """Run the job for `seconds` on the readings of a small simulated fleet."""
    landing = folder / "landing"
    simulate(Simulation(load_fleet("sensors.yml"), devices=DEVICES), landing, ORIGIN, ORIGIN + timedelta(days=1))
    words = ["run", job, "--target", "dev", "--json", "--for", f"{seconds:.0f}s", "--var", "trigger=5 s"]
    start = time.time()
    words += ["--input", str(landing), "--home", str(folder / "home")]
    runner = subprocess.Popen(
        [sys.executable, "-m", "sensor_streams_dev.cli", *words], stdout=subprocess.PIPE, text=True
    )
    own = psutil.Process(runner.pid)
    at: dict[str, float] = {}
    spent: list[tuple[float, float]] = []

    def sample() -> None:
        used = own.cpu_times()
        spent.append((time.monotonic(), used.user + used.system))

    assert runner.stdout is not None
    # Sample before the job stops, to exclude the cost of stopping.
    last = threading.Timer(seconds * 0.9, sample)
    last.start()
    for line in runner.stdout:
        event = json.loads(line)
        kind = f"{event['event']} {event.get('state', '')}".strip()
        if kind in ("driver", "cluster RUNNING", "process") and kind not in at:
            at[kind] = datetime.fromisoformat(event["at"]).timestamp()
            if kind == "process":
                sample()
    if runner.wait() or len(spent) < 2:
        raise SystemExit(
            f"the run ended with exit code {runner.returncode}, too early to measure: see its output above"
        )
    java = at["cluster RUNNING"] - at["driver"]
    (begin, before), (end, after) = spent
    return Cost(
        job,
        round(at["process"] - start, 2),
        round(java, 2),
        round(at["process"] - start - java, 2),
        round(100 * (after - before) / (end - begin), 2),
        round(end - begin, 1),
        round(psutil.getloadavg()[0], 1),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", default="single_task")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="runner-") as folder:
        cost = measure(options.job, options.seconds, Path(folder))
    if options.json:
        print(json.dumps(asdict(cost)))
        return
    print(f"{cost.job}: {cost.to_first_task} s to the first task's process, of which {cost.java} s start of the JVM")
    print(f"the runner itself: {cost.own} s; then {cost.own_cpu_percent} % of a core over {cost.over_seconds} s")
    print(f"machine load {cost.load}")


if __name__ == "__main__":
    main()
