"""Data of the lab for one seed: a home with history and models, sets of new files, and the right tables after each set.

It runs as a process of its own, so that its Spark ends before the first cell.
"""

import json
import os
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import pyarrow.feather as feather

from sensor_streams.failures import load_failures
from sensor_streams.fleet import load_fleet
from sensor_streams.runtime.task import run_task
from sensor_streams_dev.lab.lab_bundle import project_folder
from sensor_streams_dev.lab.lab_sets import DEVICES, FILES_PER_SET, HISTORY, MEAN_LIFE, ORIGIN, SET, SETS, parameters
from sensor_streams_dev.lab.table_truth import read_tables
from sensor_streams_dev.local_home import LocalHome
from sensor_streams_dev.simulate import Simulation, simulate


def make(folder: Path, home: Path, seed: int, sets: int = SETS) -> None:
    """Make the data of a seed in `folder`; `home` is the path at which all cells will have it.

    A home holds absolute paths, so it is filled at its final path, copied to `folder`/home, and copied back by each
    cell. `folder`/sets has the files of each of the sets, `folder`/tables the right tables after each one.
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
    waiting = folder / "sets"
    bounds = [begin + SET * number for number in range(sets + 1)]
    lines = []
    for number, (low, high) in enumerate(pairwise(bounds), 1):
        lines.append(simulate(simulation, waiting / str(number), low, high).lines)
    spark, settings = workspace.spark, workspace.settings
    run_task(spark, settings, ["feature_extraction"], fleet=fleet)
    load_failures(workspace.catalog, failures)
    workspace.train()
    run_task(spark, settings, [], fleet=fleet)
    shutil.copytree(home, folder / "home", ignore=shutil.ignore_patterns("log", ".*.crc.tmp"), symlinks=True)
    for number in range(1, sets + 1):
        for file in sorted((waiting / str(number)).iterdir()):
            shutil.copy2(file, landing / file.name)
        run_task(spark, settings, [], fleet=fleet)
        truth = folder / "tables" / str(number)
        truth.mkdir(parents=True)
        for name, rows in read_tables(home / "tables", fleet).items():
            feather.write_feather(rows, str(truth / f"{name}.feather"))
    (folder / "data.json").write_text(json.dumps({"lines": lines, "parameters": parameters(sets)}), "utf-8")
    shutil.rmtree(home)


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    sys.stdout.flush()
    # Threads of libraries must not keep or fail the end of this process.
    os._exit(0)
