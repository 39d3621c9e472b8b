"""The package `dabs-lab` of dev/lab, which other repositories install for the check."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
# Packages of dev/pyproject.toml that dev/lab/pyproject.toml does not name.
NOT_INSTALLED = ("pyspark", "delta", "deltalake", "mlflow", "pandas", "psutil", "py4j", "pyarrow", "requests")
OWN = ("databricks.sdk", "sensor_streams", "sensor_streams_dev")
COMMAND = """
import sys
sys.modules.update(dict.fromkeys({missing}))
from dabs_lab.cli import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and return a folder with its content."""
    folder = tmp_path_factory.mktemp("site")
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    (package,) = hook["additional_dependencies"]
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), package]
    subprocess.run(build, check=True, capture_output=True, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `dabs-lab` of the wheel without the packages that it does not name."""
    command = [sys.executable, "-c", COMMAND.format(missing=(*NOT_INSTALLED, *OWN)), *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(site)})


def test_the_package_of_the_hook_checks_a_bundle_without_spark(site: Path) -> None:
    example = ROOT / "dev/tests/check/examples/D705-runtime-out-of-support"
    (site / "databricks.yml").write_text((example / "wrong.yml").read_text("utf-8"), "utf-8")
    done = run(site, "check", str(site), "--all", "--select", "D705")
    assert (done.returncode, " D705 runtime " in done.stdout, done.stderr) == (1, True, "")


def test_the_package_of_the_hook_explains_a_rule_with_its_examples(site: Path) -> None:
    done = run(site, "check", "explain", "D102")
    assert done.returncode == 0
    assert "Wrong:\n\n```yaml\n" in done.stdout


def test_a_run_without_its_packages_names_the_missing_one(site: Path) -> None:
    done = run(site, "run", "job")
    assert done.returncode == 2
    assert done.stderr.startswith("error: the Python package databricks.sdk")
