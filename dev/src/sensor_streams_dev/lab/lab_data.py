"""Data of the lab for one seed: a home with history and models, sets of new files, and the right tables after each set.

Run as a process of its own, so that its Spark ends before the first cell: `python -m sensor_streams_dev.lab.lab_data`.
"""

import json
import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow.feather as feather

from sensor_streams.failures import load_failures
from sensor_streams.fleet import load_fleet
from sensor_streams.runtime.task import run_task
from sensor_streams_dev.lab.lab_bundle import project_folder
from sensor_streams_dev.lab.table_truth import read_tables
from sensor_streams_dev.local_home import LocalHome
from sensor_streams_dev.simulate import Simulation, simulate

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
HISTORY = timedelta(days=5)
# One set arrives before the fault, the others are for the scripts of incidents.
SETS, SET = 5, timedelta(hours=6)
FILES_PER_SET = 6
DEVICES = 4
# Short lives, so that alerts open and close in every set.
MEAN_LIFE = timedelta(days=1.5)


def make(folder: Path, home: Path, seed: int) -> None:
    """Make the data of a seed in `folder`; `home` is the path at which all cells will have it.

    A home holds absolute paths, so it is filled at its final path, copied to `folder`/home, and copied back by each
    cell. `folder`/sets has the files of each set, `folder`/tables the right tables after each set.
    """
    shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    home.mkdir(parents=True)
    project = project_folder(home)
    os.chdir(project)
    fleet = load_fleet(str(project / "sensors.yml"))
    simulation = Simulation(
        fleet, seed=seed, origin=ORIGIN, devices=DEVICES, files_every=SET / FILES_PER_SET, mean_life=MEAN_LIFE
    )
    workspace = LocalHome.open(project / "local.yml", {"preflight": "off"})
    landing, failures = Path(workspace.settings.landing), home / "failures.jsonl"
    begin = ORIGIN + HISTORY
    simulate(simulation, landing, ORIGIN, begin, failures=failures)
    sets = folder / "sets"
    bounds = [begin + SET * number for number in range(SETS + 1)]
    lines = []
    for number, (low, high) in enumerate(pairwise(bounds), 1):
        lines.append(simulate(simulation, sets / str(number), low, high).lines)
    spark, settings = workspace.spark, workspace.settings
    run_task(spark, settings, ["feature_extraction"], fleet=fleet)
    load_failures(workspace.catalog, failures)
    workspace.train()
    run_task(spark, settings, [], fleet=fleet)
    shutil.copytree(home, folder / "home", ignore=shutil.ignore_patterns("log", ".*.crc.tmp"), symlinks=True)
    for number in range(1, SETS + 1):
        for file in sorted((sets / str(number)).iterdir()):
            shutil.copy2(file, landing / file.name)
        run_task(spark, settings, [], fleet=fleet)
        truth = folder / "tables" / str(number)
        truth.mkdir(parents=True)
        for name, rows in read_tables(home / "tables", fleet).items():
            feather.write_feather(rows, str(truth / f"{name}.feather"))
    (folder / "data.json").write_text(json.dumps({"lines": lines}), "utf-8")
    shutil.rmtree(home)


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.flush()
    # Threads of libraries must not keep or fail the end of this process.
    os._exit(0)
