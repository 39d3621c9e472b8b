"""Projects made from the template of this repository, for the tests."""

import json
import os
import resource
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from sensor_streams_dev.new_project.builder import template_files, write_files
from sensor_streams_dev.new_project.questions import complete
from sensor_streams_dev.new_project.renderer import TemplateFile, render

ROOT = Path(__file__).parents[3]
# Together they have each answer of each question at least once.
ANSWERS: Mapping[str, Mapping[str, str]] = {
    "defaults": {"project_name": "acme_meters"},
    "azure": {
        "project_name": "wind",
        "cloud": "azure",
        "catalog": "acme-prod",
        "notify_by": "destination",
        "notify_destination": "0481e838-0a59-4eff-9541-a4ca6f149574",
        "live_shape": "shared_cluster",
        "dev_tools": "no",
    },
    "gcp": {
        "project_name": "zz_top_2_sensors",
        "cloud": "gcp",
        "notify_email": "night@acme.example",
        "tables_root": "gs://acme/tables",
        "live_shape": "cluster_per_task",
    },
}


@cache
def template() -> Mapping[str, TemplateFile]:
    """Return the files of the template, built once per test process."""
    return template_files(ROOT)


def rendered(answers: Mapping[str, str]) -> dict[str, TemplateFile]:
    """Return the files of a project, by their paths in it."""
    values = complete(answers)
    return {path.removeprefix(f"{values['project_name']}/"): file for path, file in render(template(), values).items()}


def written(answers: Mapping[str, str], folder: Path) -> Path:
    """Write a project without formatting it, and return its folder."""
    write_files(rendered(answers), folder)
    return folder


def make_new(
    folder: Path | str, *words: str, largest_file: int | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command of `make new` for a folder, without a terminal. `largest_file` is a limit in bytes."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    command = [sys.executable, "-m", "sensor_streams_dev.new_project", "new", "--dir", str(folder), *words]
    paths = os.pathsep.join(str(ROOT / part) for part in ("src", "dev/src"))
    return subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )


def made(answers: Mapping[str, str], folder: Path) -> Path:
    """Make a project as `make new` does, from a file of answers next to it."""
    file = folder.with_suffix(".json")
    file.write_text(json.dumps(answers), "utf-8")
    done = make_new(folder, "--config", str(file))
    assert done.returncode == 0, done.stderr
    return folder


def run_in(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module in a project, whose packages come first and count as installed."""
    installed = project.parent / f"{project.name}-installed"
    if not installed.is_dir():
        _pretend_to_install(project, installed)
    paths = [project / "src", project / "dev/src", project, installed]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=project, env=environment, capture_output=True, text=True, check=False
    )


def set_up(project: Path) -> dict[str, str]:
    """Make the project's .venv as `make setup` does, but offline, with the packages of this environment.

    Return the environment variables to run make with.
    """
    folder = project / ".venv"
    venv.create(folder, symlinks=True)
    paths = {key: sysconfig.get_path(key, "venv", vars={"base": str(folder)}) for key in ("purelib", "scripts")}
    packages, scripts = Path(paths["purelib"]), Path(paths["scripts"])
    _pretend_to_install(project, packages)
    # The project comes before the packages of this environment.
    known = [project / "src", project / "dev/src", *(path for path in sys.path if path.endswith("site-packages"))]
    (packages / "project.pth").write_text("".join(f"{path}\n" for path in known), "utf-8")
    commands = {point.name: point.value for point in entry_points(group="console_scripts")}
    declared = tomllib.loads((project / "dev/pyproject.toml").read_text("utf-8"))["project"]
    for name, value in {**commands, **declared["scripts"]}.items():
        module, _, function = value.partition(":")
        text = f"#!{scripts}/python\nimport sys\nfrom {module} import {function}\n\nsys.exit({function}())\n"
        (scripts / name).write_text(text, "utf-8")
        (scripts / name).chmod(0o755)
    (scripts / "ruff").symlink_to(Path(sys.executable).with_name("ruff"))
    for stamp in (".ready", ".jars"):
        (folder / stamp).touch()
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def _pretend_to_install(project: Path, folder: Path) -> None:
    """Write the metadata that an installation of the project's wheel has: name, version, entry points."""
    declared = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    name = declared["name"].replace("-", "_")
    metadata = folder / f"{name}-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {declared['name']}\nVersion: 0.1.0\n", "utf-8")
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
        for group, points in declared["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines), "utf-8")
