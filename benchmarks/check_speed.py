"""Speed of `dabs-lab check` next to yamllint, on the same 50 files: whole processes, in turns.

.venv/bin/python -m benchmarks.check_speed --yamllint PATH     # yamllint is not installed by make setup
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dev.tests.check.test_speed_of_check import TARGETS, write_jobs

FILES = 50


def seconds(command: Sequence[str]) -> float:
    """Return the processor time of a command, which other processes disturb less than the clock.

    Both linters use one core, and end with 0 or 1.
    """
    begin = _used()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)}: ended with {ended.returncode}\n{ended.stderr}")
    return _used() - begin


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure both, and print processor seconds (median, lowest, highest), the ratio of the rounds, and the load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--yamllint", default="yamllint", help="the program yamllint; from PATH unless given")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        one, three = write_jobs(Path(name) / "one", FILES), write_jobs(Path(name) / "three", FILES, TARGETS)
        check = (sys.executable, "-m", "dabs_lab.cli", "check", "--all")
        commands: Mapping[str, Sequence[str]] = {
            "yamllint": (options.yamllint, str(one)),
            "check, 1 target": (*check, str(one)),
            "check, 3 targets": (*check, str(three)),
        }
        load = os.getloadavg()[0]
        # The first round only warms up.
        rounds = [{what: seconds(words) for what, words in commands.items()} for _ in range(options.rounds + 1)][1:]
    print(f"{FILES} files, {options.rounds} rounds, load {load:.1f} before and {os.getloadavg()[0]:.1f} after")
    for what in commands:
        times = [one_round[what] for one_round in rounds]
        ratio = statistics.median(one_round[what] / one_round["yamllint"] for one_round in rounds)
        print(f"{what:18}{statistics.median(times):6.2f} s ({min(times):.2f} to {max(times):.2f}), ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
