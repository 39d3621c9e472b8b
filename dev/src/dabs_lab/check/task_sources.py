"""Source file of a task in the bundle: its path, and its Python code with the lines of the file."""

import json
import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as FilePath

from dabs_lab.bundle.file_paths import sync_level
from dabs_lab.bundle.yaml_nodes import Node

LARGEST = 500_000
_FIELDS = (("notebook_task", "notebook_path"), ("spark_python_task", "python_file"))
NOTEBOOKS = (".py", ".ipynb", ".sql")
# `%pip install …`, and `# MAGIC %run …` in a file of Databricks.
_MAGIC = re.compile(r"^(?:#\s*MAGIC\s+)?%{1,2}(\w+)[^\n]*", re.MULTILINE)
_SHELL = re.compile(r"^\s*!.*$", re.MULTILINE)
# Magics in front of Python code, and those that run no code on Spark.
_PYTHON = {"pip", "python", "restart_python", "conda", "config", "matplotlib", "autoreload"}
_HARMLESS = {*_PYTHON, "md", "sh", "sql", "fs", "run"}
_RUN = re.compile(r"^(?:#\s*MAGIC\s+)?%run\s+[\"']?([^\s\"'$]+)", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """Code of a task: file, its name relative to the bundle, Python text, and the file's line of each line.

    runs: paths of the notebooks in `%run`. is_whole: no other magic adds code.
    """

    file: FilePath
    name: str
    text: str
    lines: tuple[int, ...] = ()
    runs: tuple[str, ...] = ()
    is_whole: bool = True

    def line(self, number: int) -> int:
        """Return the line in the file for a line of the text."""
        return self.lines[number - 1] if number <= len(self.lines) else number


def source_of(task: Node, root: Node, folder: FilePath) -> Source | None:
    """Return the source of a task; None if it is not a readable Python or SQL file of the bundle.

    For a wheel it is the module of the entry point, if pyproject.toml names it.
    """
    if task.get_filled("python_wheel_task") is not None:
        file = _entry_point(task.text_at("python_wheel_task", "entry_point"), root, folder)
        return read_source(file, folder) if file is not None else None
    base = root.text_at("workspace", "file_path")
    for field in _FIELDS:
        remote = task.text_at(*field)
        if not base or not remote.startswith(f"{base}/"):
            continue
        local = sync_level(root, folder) / remote[len(base) + 1 :]
        suffixes = NOTEBOOKS if field[0] == "notebook_task" else ("",)
        files = [local.with_name(local.name + suffix) for suffix in suffixes]
        file = next((file for file in files if file.is_file()), None)
        return read_source(file, folder) if file is not None else None
    return None


def _entry_point(name: str, root: Node, folder: FilePath) -> FilePath | None:
    """Return the file of an entry point of a wheel that the bundle builds."""
    for artifact in (root.get_filled("artifacts") or Node({})).children.values():
        project = folder / artifact.text_at("path")
        module = _scripts(project / "pyproject.toml").get(name, "").partition(":")[0]
        for base in (project / "src", project):
            file = base.joinpath(*module.split(".")).with_suffix(".py") if module else project
            if file.is_file():
                return file
    return None


def _scripts(file: FilePath) -> dict[str, str]:
    """Return the scripts of a pyproject.toml: name → module and function."""
    try:
        content = tomllib.loads(file.read_text("utf-8"))
        found = content.get("project", {}).get("scripts") or content.get("tool", {}).get("poetry", {}).get("scripts")
        return {name: value for name, value in (found or {}).items() if isinstance(value, str)}
    except (OSError, ValueError, AttributeError):
        return {}


def read_source(file: FilePath, folder: FilePath) -> Source | None:
    """Return the source in a file; None if it is too large or not readable."""
    try:
        status = file.stat()
        return _read(file, folder, status.st_mtime_ns) if status.st_size <= LARGEST else None
    except (OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError):
        return None


@lru_cache(maxsize=512)
def _read(file: FilePath, folder: FilePath, _changed: int) -> Source:
    """Read a file once for all targets, until it changes."""
    text = file.read_text("utf-8-sig")
    name = FilePath(os.path.relpath(file, folder)).as_posix()
    if file.suffix == ".ipynb":
        return _of_jupyter(file, name, text)
    if file.suffix == ".sql":
        return Source(file, name, "", is_whole="MAGIC" not in text)
    code, runs, is_whole = _without_magics(text)
    return Source(file, name, code, (), runs, is_whole)


def _without_magics(text: str) -> tuple[str, tuple[str, ...], bool]:
    """Return the text with comments in place of magics, the notebooks that it runs, and whether it runs no other."""
    magics = [match[1] for match in _MAGIC.finditer(text)]
    runs = tuple(_RUN.findall(text))
    is_whole = set(magics) <= _HARMLESS and len(runs) == magics.count("run")
    return _SHELL.sub("# shell", _MAGIC.sub("# magic", text)), runs, is_whole


def _of_jupyter(file: FilePath, name: str, text: str) -> Source:
    code: list[str] = []
    parts: list[str] = []
    runs: tuple[str, ...] = ()
    is_whole = True
    for cell in json.loads(text)["cells"]:
        source = cell["source"]
        here = source.splitlines(keepends=True) if isinstance(source, str) else source
        joined = "".join(here)
        kept, here_runs, whole = _without_magics(joined)
        first = _MAGIC.match(joined.lstrip())
        is_python = cell["cell_type"] == "code" and (first is None or first[1] in _PYTHON)
        if cell["cell_type"] == "code":
            runs, is_whole = (*runs, *here_runs), is_whole and whole
        code += kept.splitlines() if is_python else ["#"] * len(joined.splitlines())
        parts += here
    return Source(file, name, "\n".join(code), _rows(parts, text), runs, is_whole)


def _rows(parts: Sequence[str], text: str) -> tuple[int, ...]:
    """Return the row of each source line in the JSON text of a notebook; rows repeat, so each is after the last."""
    rows: dict[str, list[int]] = {}
    for number, row in enumerate(text.splitlines(), 1):
        rows.setdefault(row.strip().rstrip(","), []).append(number)
    found: list[int] = []
    last = 0
    for part in parts:
        after = rows.get(json.dumps(part, ensure_ascii=False)) or rows.get(json.dumps(part)) or ()
        last = next((row for row in after if row > last), last)
        found.append(max(last, 1))
    return tuple(found)
