"""The bundle of a cell: the deployable job files, those of the lab, and shorter waits of the platform."""

import json
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import yaml

from dabs_lab.bundle import load_bundle
from dabs_lab.lab.scaling import scaled_assumptions, scaled_bundle
from dabs_lab.runner.local_config import load_local

# A minute of the platform takes two seconds.
TIME_SCALE = 1 / 30
RESOLVED = "resolved.json"
# The trigger of continuous streams in the lab.
TRIGGER = "1 s"
# A batch without progress for so many seconds fails; 30 minutes by default, scaled like the platform's waits.
STALL_AFTER = 60
_FOLDERS, _FILES = ("resources", "cluster"), ("databricks.yml", "policies.yml", "sensors.yml")
_TARGET = "dev"


def project_folder(home: Path, root: Path | None = None) -> Path:
    """Write the bundle's folder of a home: `home`/project, from the project in `root` (the current folder).

    The folder gets the bundle with scaled waits as JSON, which `dabs-lab run --bundle-json` takes.
    """
    root = root or Path.cwd()
    folder = home / "project"
    folder.mkdir(parents=True)
    for name in _FOLDERS:
        shutil.copytree(root / name, folder / name)
    for name in _FILES:
        shutil.copy(root / name, folder)
    own = files("sensor_streams_dev.lab") / "jobs"
    for file in own.iterdir():
        place = "resources" if file.name.endswith(".yml") else "."
        (folder / place / file.name).write_text(file.read_text("utf-8"), "utf-8")
    local = yaml.safe_load((root / "local.yml").read_text("utf-8"))
    local |= {"home": str(home), "assumptions": scaled_assumptions(TIME_SCALE)}
    (folder / "local.yml").write_text(yaml.safe_dump(local), "utf-8")
    (folder / RESOLVED).write_text(json.dumps(_resolved(folder)), "utf-8")
    return folder


def _resolved(folder: Path) -> Mapping[str, Any]:
    given = load_local(folder / "local.yml").variables
    environment = {f"BUNDLE_VAR_{name}": value for name, value in given.items()}
    bundle = load_bundle(folder, _TARGET, variables={"trigger": TRIGGER}, environment=environment, user="you@localhost")
    scaled = scaled_bundle(cast(Mapping[str, Any], bundle.tree.plain()), TIME_SCALE)
    for job in scaled["resources"]["jobs"].values():
        job["parameters"] = [*(job.get("parameters") or ()), {"name": "stall_after", "default": f"{STALL_AFTER} s"}]
    return scaled
