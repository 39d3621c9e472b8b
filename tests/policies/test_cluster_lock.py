"""Packages of a cluster: the lock and the list of the runtime's packages together satisfy the wheel, and no more."""

import re
import runpy
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.policies.golden import ROOT, TARGETS, read

SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "lock_cluster.py"))
FOLDER = ROOT / "cluster"
BROUGHT, LOCK = ((FOLDER / name).read_text("utf-8") for name in ("runtime.txt", "requirements.txt"))


def project(folder: Path = ROOT) -> dict[str, Any]:
    """Return the table `project` of pyproject.toml."""
    read_table: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return read_table


def pins(text: str) -> dict[str, tuple[str, str]]:
    """Return version and lines of each pin, by package."""
    found: dict[str, tuple[str, str]] = SCRIPT["entries"](text)
    assert len(found) == sum("==" in line for line in text.splitlines() if not line.startswith("#"))
    return found


def old_inputs(folder: Path, lock: str) -> list[str]:
    """Return the lines of the lock's head that differ from the current inputs."""
    return [line for line in SCRIPT["head"](folder).splitlines() if line not in lock.splitlines()]


def test_the_lock_was_made_from_the_current_dependencies_and_runtime() -> None:
    assert old_inputs(ROOT, LOCK) == [], "pyproject.toml or cluster/runtime.txt changed: run `make lock`"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("pyproject.toml", '"pyarrow>=16"', '"lightgbm>=4", "pyarrow>=16"'),
        ("pyproject.toml", '"pyarrow>=16"', '"pyarrow>=99"'),
        ("cluster/runtime.txt", "# runtime: 18.x", "# runtime: 19.x"),
        ("cluster/runtime.txt", "pyarrow==", "pyarrow==1."),
    ],
)
def test_a_change_without_a_new_lock_is_found(tmp_path: Path, file: str, old: str, new: str) -> None:
    (tmp_path / "cluster").mkdir()
    for name in ("pyproject.toml", "cluster/runtime.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    text = (tmp_path / file).read_text("utf-8")
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1), "utf-8")
    assert old_inputs(tmp_path, LOCK)


def test_each_dependency_of_the_wheel_comes_from_the_runtime_or_from_the_lock_in_an_allowed_version() -> None:
    # pip installs the lock first, so its version counts.
    versions = {name: version for name, (version, _) in (pins(BROUGHT) | pins(LOCK)).items()}
    for text in project()["dependencies"]:
        needed = Requirement(text)
        version = versions.get(canonicalize_name(needed.name))
        assert version is not None, f"neither the runtime nor the lock has {needed.name}: run `make lock`"
        assert needed.specifier.contains(version), f"{needed.name} {version} is not {needed.specifier}: run `make lock`"


def test_the_lock_has_no_package_that_nothing_needs_and_none_that_the_runtime_brings_in_that_version() -> None:
    brought, locked = pins(BROUGHT), pins(LOCK)
    wheel = f"{project()['name']} (pyproject.toml)"
    direct = {canonicalize_name(Requirement(text).name) for text in project()["dependencies"]}
    for name, (version, lines) in locked.items():
        assert version != brought.get(name, ("", ""))[0], f"the runtime brings {name} {version}: run `make lock`"
        needed_by = set(re.findall(r"^ +#(?: via)? +(\S.*)$", lines, re.MULTILINE))
        assert needed_by, f"{name}: uv names no package that needs it"
        if wheel in needed_by:
            assert name in direct, f"the wheel no longer needs {name}: run `make lock`"
        assert needed_by - {wheel} <= brought.keys() | locked.keys(), f"{name} is not needed: run `make lock`"


def test_the_lock_has_hashes_and_no_urls() -> None:
    assert "://" not in LOCK
    assert all("--hash=sha256:" in lines for _, lines in pins(LOCK).values())


@pytest.mark.parametrize("target", TARGETS)
def test_the_clusters_of_each_target_have_the_runtime_that_the_lock_was_made_for(target: str) -> None:
    jobs = read(target).resources["jobs"].values()
    used = {cluster["new_cluster"]["spark_version"] for job in jobs for cluster in job["job_clusters"]}
    assert used == {SCRIPT["fact"](BROUGHT, "runtime")}, (
        "write the packages of the new runtime into cluster/runtime.txt and run `make lock` (docs/deploy.md)"
    )


def test_the_wheel_installs_on_the_python_of_the_runtime() -> None:
    assert Requirement(f"wheel{project()['requires-python']}").specifier.contains(SCRIPT["fact"](BROUGHT, "python"))
