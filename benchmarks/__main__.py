"""Run the measurements and write `results/ID.json` for each; `--table` prints the table of the docs from these files.

make bench                          # all, about an hour on 2 cores
make bench ARGS="--only P1 P4"
make bench ARGS="--table"
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

from benchmarks.measurement import Measurement
from benchmarks.record import say
from benchmarks.results_files import table, write

# Modules with a `MEASUREMENTS` list, in the order of the table.
MODULES: tuple[str, ...] = (
    "fixed_cost",
    "large_batches",
    "phases",
    "appending",
    "growing_tables",
    "scoring",
    "pytest_time",
    "latency",
    "startup",
    "other_engines",
    "all_streams",
    "layout",
)


def measurements() -> dict[str, Measurement]:
    """Return all measurements by id."""
    return {one.id: one for name in MODULES for one in import_module(f"benchmarks.{name}").MEASUREMENTS}


def main() -> None:
    """Measure what the options select."""
    known = measurements()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = [one.id for one in known.values() if one.by_default]
    parser.add_argument("--only", nargs="+", choices=known, default=default, metavar="ID", help=", ".join(known))
    parser.add_argument("--rounds", type=int, help="repetitions of each (default: its own number)")
    parser.add_argument("--folder", type=Path, default=Path(".local/bench"))
    parser.add_argument("--table", action="store_true", help="print the table from the results on file")
    options = parser.parse_args()
    failed = []
    if not options.table and len(options.only) == 1:
        _measure(known[options.only[0]], options.folder, options.rounds)
    elif not options.table:
        # Each in a process of its own: memory and compiled code of one would change the figures of the next.
        rounds = ["--rounds", str(options.rounds)] if options.rounds else []
        for name in options.only:
            command = [sys.executable, "-m", "benchmarks", "--only", name, "--folder", str(options.folder), *rounds]
            failed += [name] if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode else []
    print(table(list(known.values())))
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def _measure(one: Measurement, parent: Path, rounds: int | None) -> None:
    say(f"{one.id}: {one.title} (about {one.minutes} min)")
    folder = parent.absolute() / one.id
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    load, begin = os.getloadavg()[0], time.monotonic()
    result = one.run(folder, rounds or one.rounds)
    shutil.rmtree(folder, ignore_errors=True)
    minutes = (time.monotonic() - begin) / 60
    say(f"{one.id}: {minutes:.1f} min, written to {write(one, load, result, minutes)}")


if __name__ == "__main__":
    main()
