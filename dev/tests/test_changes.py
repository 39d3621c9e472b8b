"""Common changes take at most two files, which docs/changing.md names, and keep the project valid."""

import ast
import dataclasses
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
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


# On random rows with gaps, as training and scoring do. Spark is imported but does not start.
FIT_AND_PREDICT = """
import pickle
import numpy as np
import pandas as pd
from sensor_streams.inference import training
from sensor_streams.inference.models import LifeEstimator, LifeModel

columns = ["vibration_mean", "vibration_slope"]
random = np.random.default_rng(7)
rows = pd.DataFrame(random.normal(size=(400, 2)), columns=columns)
rows["hours"] = 50 + 10 * rows["vibration_mean"]
rows["device_id"] = [f"pump-{at % 4}" for at in range(400)]
rows["device_type"] = "pump"
truth = rows["hours"].to_numpy()
rows.loc[::7, "vibration_slope"] = np.nan
fitted = training._fit(rows, columns)
model = LifeModel({"pump": LifeEstimator(columns, fitted, np.array([]), np.array([1.0]), None)})
found = pickle.loads(pickle.dumps(model)).predict(None, rows)
assert found.notna().all().all()
assert np.abs(found["life_hours"] - truth).mean() < 0.5 * np.abs(truth - truth.mean()).mean()
print(training.__file__, type(fitted).__name__)
"""
FOREST = Change(
    "another estimator of scikit-learn",
    {
        "src/sensor_streams/inference/estimators.py": [
            ("import HistGradientBoostingRegressor", "import RandomForestRegressor"),
            (
                re.compile(r"= HistGradientBoostingRegressor\(.*?\n    \)", re.DOTALL),
                "= RandomForestRegressor(n_estimators=20, min_samples_leaf=5, random_state=SEED)",
            ),
        ]
    },
)
(LIGHT_GBM,) = (change for change in CHANGES if "LightGBM" in change.title)


@pytest.mark.parametrize(
    ("change", "estimator"),
    [
        (FOREST, "RandomForestRegressor"),
        pytest.param(
            LIGHT_GBM,
            "LGBMRegressor",
            marks=pytest.mark.skipif(
                find_spec("lightgbm") is None, reason="LightGBM is not installed: pip install lightgbm"
            ),
        ),
    ],
    ids=["scikit-learn", "LightGBM"],
)
def test_another_estimator_is_fitted_pickled_and_predicts(copied: Path, change: Change, estimator: str) -> None:
    change.make(copied)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(copied / "src"), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-c", FIT_AND_PREDICT],
        cwd=copied,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    file, name = done.stdout.split()
    assert Path(file).is_relative_to(copied)
    assert name == estimator
