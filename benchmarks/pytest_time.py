"""Time of the tests (P5): one test of a feature, and all tests with Delta's quick-start session instead of ours.

Wall time of the command, with the start of Python and Spark. The default runs the tests of `tests/features` in both
sessions, as `make test` runs its tests (two processes). To measure all of `make test`, which takes half an hour:

    BENCH_TESTS=tests make bench ARGS="--only P5"

The quick-start session is set up by `benchmarks.quick_start_session`. A test that depends on a setting of ours may
fail there; `figures` has the last line of pytest for both.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measurement import Measurement, Ratio, Result
from benchmarks.record import say
from benchmarks.simulated_home import ROOT

# One test that needs Spark.
ONE = "tests/features/test_sensor.py::test_a_short_window_has_the_figures_computed_by_hand"
TIMES = 5
TESTS = os.environ.get("BENCH_TESTS", "tests/features")
# As in the Makefile.
OPTIONS = ["--numprocesses", "2", "--dist", "loadgroup", "-m", "not slow and not unity"]
QUICK_START = ["-p", "benchmarks.quick_start_session"]


def pytest_seconds(*words: str, may_fail: bool = False) -> tuple[float, str]:
    """Run pytest; return its wall time and the last line of its output.

    may_fail: accept failing tests. Raises SystemExit with the end of the output.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    # The quick-start session uses the time zone of the machine, and the expected values are in UTC.
    environment = {**os.environ, "TZ": "UTC"}
    begin = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    lines = done.stdout.strip().splitlines()
    # Exit code 1: some tests failed.
    if done.returncode not in ((0, 1) if may_fail else (0,)):
        raise SystemExit("\n".join([f"pytest {' '.join(words)} failed:", *lines[-20:], done.stderr]))
    return seconds, lines[-1]


def run(_: Path, rounds: int) -> Result:
    """Measure one test, then the chosen tests in both sessions in turns."""
    one = []
    for number in range(TIMES + 1):
        seconds, _last = pytest_seconds(ONE)
        # The first run reads the packages from the disk.
        if number:
            one.append(seconds)
        say(f"one test: {seconds:.1f} s{'' if number else ' (warm-up)'}")
    ours, quick_start, last = [], [], {}
    for _round in range(rounds):
        seconds, last["ours"] = pytest_seconds(*OPTIONS, TESTS)
        ours.append(seconds)
        say(f"{TESTS}, our session: {seconds:.0f} s, {last['ours']}")
        seconds, last["quick start"] = pytest_seconds(*QUICK_START, *OPTIONS, TESTS, may_fail=True)
        quick_start.append(seconds)
        say(f"{TESTS}, quick-start session: {seconds:.0f} s, {last['quick start']}")
    name = "make test" if TESTS == "tests" else f"pytest {TESTS}"
    ratio = Ratio(f"{name}, Delta's quick-start session / ours", quick_start, ours, "s", "≥ 3")
    return Result([ratio], {"pytest of one feature test, s (goal < 10)": one}, {"tests": TESTS, "pytest": last})


MEASUREMENTS = [Measurement("P5", f"tests: one of a feature; {TESTS} in two sessions", 5, run, rounds=1)]
