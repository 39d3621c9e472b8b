"""A new project: rendered, formatted and committed in a temporary folder, which becomes the project at the end."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sensor_streams.errors import ConfigurationError, MachineError
from sensor_streams_dev.new_project.builder import template_files, write_files
from sensor_streams_dev.new_project.names import refused_names
from sensor_streams_dev.new_project.questions import name_problem
from sensor_streams_dev.new_project.renderer import render

_IDENTITY = ("-c", "user.name=make new", "-c", "user.email=make-new@localhost")
# Variables of git that name the user, not a repository.
_USER = (
    *("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"),
    *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"),
)
# The user's git settings that would change or stop the first commit.
_PLAIN = (
    *("-c", "core.excludesFile=", "-c", "core.hooksPath=", "-c", "core.autocrlf=false"),
    *("-c", "commit.gpgSign=false", "-c", "init.templateDir="),
)


def check_folder(folder: Path, root: Path) -> None:
    """Check that a project can be made at a folder: it is missing or empty, its parent exists.

    Raises ConfigurationError otherwise.
    """
    if not folder.parent.is_dir():
        raise ConfigurationError(f"{folder.parent}: no such folder: make it first, or give another DIR")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ConfigurationError(f"{folder}: exists and is not a folder: give another DIR")
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder}: exists and is not empty: give another DIR")
    if folder.resolve().is_relative_to(root.resolve()):
        raise ConfigurationError(f"{folder}: is inside the template: give a DIR outside of {root}")


def create(folder: Path, values: Mapping[str, str], root: Path) -> bool:
    """Make a project with the values of the template; return False if git knows no user and the commit has a stand-in.

    Raises ConfigurationError for a wrong folder or name, MachineError if a command fails, OSError for a full disk.
    After an error or an interrupt nothing is left behind.
    """
    check_folder(folder, root)
    if wrong := name_problem(values["project_name"], refused_names(root)):
        raise ConfigurationError(f"project_name: {wrong}")
    files = render(template_files(root), values)
    top = f"{values['project_name']}/"
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-project-") as temporary:
        made = Path(temporary) / "project"
        write_files({path.removeprefix(top): file for path, file in files.items()}, made)
        _fit(made)
        known = _commit(made, values["project_name"])
        # An empty folder is replaced; if it has got files meanwhile, this fails.
        made.rename(folder)
    return known


def _fit(project: Path) -> None:
    """Fit line breaks and the order of imports to the new name, and the golden files to the answers."""
    path = os.pathsep.join(str(project / part) for part in ("src", "dev/src", ""))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    layout = ("ruff", "format", "--quiet", "--no-cache", ".")
    for command in (
        # First, because a line that only a new layout shortens is an error of the check. The check sorts imports.
        layout,
        ("ruff", "check", "--fix", "--quiet", "--no-cache", "--output-format=concise", "."),
        layout,
        ("tests.policies.golden",),
    ):
        _run([sys.executable, "-m", *command], project, environment)


def _commit(project: Path, name: str) -> bool:
    """Commit all files in a new repository; return False if git knows no user."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _USER}
    git = ["git", *_PLAIN]
    _run([*git, "init", "--quiet", "--initial-branch=main"], project, environment)
    user = ["git", "-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT"]
    known = subprocess.run(user, cwd=project, env=environment, capture_output=True, check=False).returncode == 0
    _run([*git, "add", "--all"], project, environment)
    message = f"Start {name} from a template"
    _run([*git, *(() if known else _IDENTITY), "commit", "--quiet", "--message", message], project, environment)
    return known


def _run(command: Sequence[str], project: Path, environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise MachineError(f"{command[0]} was not found: install it") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        called = " ".join(command[1:4] if command[0] == sys.executable else command[-3:])
        raise MachineError(f"{called} failed in {project.parent.parent}: {lines[-1]}; correct it and try again")
