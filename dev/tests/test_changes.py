"""Common changes take at most two files, which docs/changing.md names, and keep the project valid."""

import ast
import dataclasses
import re
import shutil
from pathlib import Path

import pytest

from dabs_lab.bundle import target_sections
from dev.tests.changes import CHANGES, Change
from sensor_streams.fleet import load_fleet
from sensor_streams_dev.policies.job_files import broken_policies
from tests.policies.golden import ROOT, copy_bundle, read

ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in (ROOT / "docs" / "changing.md").read_text("utf-8").splitlines()
    if line.startswith("|")
][2:]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a copy of bundle, fleet and code."""
    copy_bundle(tmp_path)
    shutil.rmtree(tmp_path / "src")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("sensors.yml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_the_page_has_a_row_for_each_change_with_the_files_that_it_takes() -> None:
    documented = {row[0]: set(re.findall(r"`([\w./]+\.\w+)`", row[1])) for row in ROWS}
    assert documented == {change.title: change.files for change in CHANGES}


@pytest.mark.parametrize("change", CHANGES, ids=[change.title for change in CHANGES])
def test_a_change_takes_at_most_two_files_and_keeps_the_project_valid(copied: Path, change: Change) -> None:
    assert len(change.files) <= 2
    change.make(copied)
    for name in change.files:
        changed = (copied / name).read_text("utf-8")
        assert not (ROOT / name).exists() or changed != (ROOT / name).read_text("utf-8")
        if name.endswith(".py"):
            ast.parse(changed)
    load_fleet(copied / "sensors.yml")
    for target in target_sections(copied):
        bundle = read(target, copied)
        assert broken_policies(bundle) == []
        assert load_fleet(copied / bundle.variables["fleet"])


def test_all_changes_fit_together(copied: Path) -> None:
    for change in CHANGES:
        change.make(copied)
    assert {"uat", "boilers"} < set(target_sections(copied))
    for target in target_sections(copied):
        assert broken_policies(read(target, copied)) == []


def test_the_finding_that_the_settings_page_shows_is_the_finding_of_that_edit(copied: Path) -> None:
    page = " ".join((ROOT / "docs" / "settings.md").read_text("utf-8").split())
    (retries,) = (change for change in CHANGES if change.title == "retries")
    dataclasses.replace(retries, edits={name: retries.edits[name] for name in retries.edits if "job" in name}).make(
        copied
    )
    shown = [line for line in broken_policies(read("dev", copied)) if line in page]
    assert len(shown) == 1
