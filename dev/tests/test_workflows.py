"""Workflows of CI: which variables reach the bundle, and what each job may do."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.policies.golden import NEEDED, ROOT

SCRIPT = "scripts/ci_variables.sh"
WORKFLOWS = {file.name: file.read_text("utf-8") for file in (ROOT / ".github/workflows").glob("*.yml")}
JOBS: dict[str, dict[str, Any]] = {
    f"{name}: {key}": job for name, text in WORKFLOWS.items() for key, job in yaml.safe_load(text)["jobs"].items()
}
BUNDLE_COMMAND = re.compile("databricks bundle|restart_live")


def given(folder: Path, **values: str) -> tuple[int, str, set[str]]:
    """Run the script with variables of a GitHub environment; return exit code, output, and what it sets."""
    file = folder / "github_env"
    file.write_text("", "utf-8")
    if not (folder / "databricks.yml").exists():
        shutil.copy(ROOT / "databricks.yml", folder)
    environment = {"PATH": os.environ["PATH"], "GITHUB_ENV": str(file), **values}
    done = subprocess.run([ROOT / SCRIPT], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr, set(file.read_text("utf-8").splitlines())


def of_environment(**values: str) -> dict[str, str]:
    """Return a variable of the environment for each name without a default, and the values."""
    needed = {name.upper(): f"some-{name}" for name in NEEDED if name != "principal"}
    return {"DATABRICKS_HOST": "https://a", "DATABRICKS_CLIENT_ID": "app", **needed, **values}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_workflow_sets_a_variable_of_the_bundle_that_may_be_empty(name: str) -> None:
    assert "BUNDLE_VAR_" not in WORKFLOWS[name]


def test_each_job_that_uses_the_bundle_gets_its_variables_before() -> None:
    checked = 0
    for name, job in JOBS.items():
        runs = [step.get("run", "") for step in job["steps"]]
        uses = [at for at, run in enumerate(runs) if BUNDLE_COMMAND.search(run)]
        if uses:
            checked += 1
            assert SCRIPT in runs[: uses[0]], name
            assert {"CATALOG", "TABLES_ROOT"} < job["env"].keys(), name
    assert checked >= 3


def test_a_variable_that_the_environment_does_not_set_keeps_its_default(tmp_path: Path) -> None:
    code, output, found = given(tmp_path, **of_environment(TABLES_ROOT=""))
    assert (code, output) == (0, "")
    needed = {f"BUNDLE_VAR_{name}=some-{name}" for name in NEEDED if name != "principal"}
    assert found == {"BUNDLE_VAR_principal=app", *needed}
    _, _, found = given(tmp_path, **of_environment(TABLES_ROOT="s3://a b/c"))
    assert "BUNDLE_VAR_tables_root=s3://a b/c" in found


@pytest.mark.parametrize("name", of_environment())
def test_a_missing_variable_without_a_default_ends_the_job(tmp_path: Path, name: str) -> None:
    code, output, found = given(tmp_path, **of_environment(**{name: ""}))
    assert (code, found) == (1, set())
    assert output.startswith(f"::error::{name} is empty: ")


def test_a_variable_that_was_removed_from_the_bundle_is_not_needed(tmp_path: Path) -> None:
    (tmp_path / "databricks.yml").write_text("# needs-var: principal\nvariables: {}\n", "utf-8")
    identity = {"DATABRICKS_HOST": "https://a", "DATABRICKS_CLIENT_ID": "app"}
    assert given(tmp_path, **identity) == (0, "", {"BUNDLE_VAR_principal=app"})


def test_a_job_that_may_write_to_the_repository_runs_no_code_of_packages() -> None:
    writing = {name: job for name, job in JOBS.items() if (job.get("permissions") or {}).get("contents") == "write"}
    for name, text in WORKFLOWS.items():
        assert (yaml.safe_load(text)["permissions"] or {}).get("contents") in (None, "read"), name
    for name, job in writing.items():
        for step in job["steps"]:
            assert not re.search(r"\b(make|uv|pip|python)\b", step.get("run", "")), name
            assert step.get("uses", "actions/").startswith("actions/"), name
