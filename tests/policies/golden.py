"""Golden files of the resolved bundle, so that a review shows what a change deploys. `make golden` rewrites them."""

import json
import re
import shutil
from pathlib import Path

import yaml

from dabs_lab.bundle import Bundle, load_bundle, target_sections
from tests.rows import FIXTURES

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "golden"
TARGETS = tuple(target_sections(ROOT))
_VALUES = {
    "catalog": "plant",
    "principal": "00000000-0000-0000-0000-000000000000",
    "alert_email": "sensor-team@example.org",
}
# Variables without a default, which databricks.yml lists in its comments, and their values in the golden files.
NEEDED = re.findall(r"^# needs-var: (\w+)$", (ROOT / "databricks.yml").read_text("utf-8"), re.MULTILINE)
GIVEN = {name: _VALUES.get(name, f"some-{name}") for name in NEEDED}


def given_with(**values: str) -> dict[str, str]:
    """Return values for the variables above, also those with a default of your own; `values` replace them."""
    return _declared({**GIVEN, **_VALUES, **values}, ROOT)


def read(target: str, folder: Path = ROOT, strict: bool = True) -> Bundle:
    """Return the project's bundle for a target, with the values above for variables that the target does not set."""
    own = target_sections(folder)[target].get("variables") or {}
    given = _declared({name: value for name, value in GIVEN.items() if name not in own}, folder)
    return load_bundle(folder, target, variables=given, user="somebody@example.org", strict=strict)


def _declared(values: dict[str, str], folder: Path) -> dict[str, str]:
    """Return the values of variables that the bundle in a folder declares."""
    declared = yaml.safe_load((folder / "databricks.yml").read_text("utf-8"))["variables"]
    return {name: value for name, value in values.items() if name in declared}


def copy_bundle(folder: Path) -> Path:
    """Copy the bundle to a folder, with a fleet of the tests and a file for each pattern of `sync.exclude`."""
    for name in ("databricks.yml", "local.yml", "policies.yml"):
        shutil.copy(ROOT / name, folder)
    shutil.copy(FIXTURES / "sensors.yml", folder)
    for name in ("resources", "cluster"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "src").mkdir()
    (folder / "src" / "code.py").touch()
    (folder / "README.md").touch()
    return folder


def text(bundle: Bundle) -> str:
    """Return the content of the golden file of a bundle."""
    return json.dumps(bundle.resources, indent=2, sort_keys=True) + "\n"


def stale_files(folder: Path = FOLDER, root: Path = ROOT) -> list[Path]:
    """Return the golden files of targets that the bundle no longer has."""
    targets = target_sections(root)
    return sorted(file for file in folder.glob("*.json") if file.stem not in targets)


def write(folder: Path = FOLDER, root: Path = ROOT) -> None:
    """Write the golden file of each target, and remove stale ones."""
    folder.mkdir(exist_ok=True)
    for target in target_sections(root):
        (folder / f"{target}.json").write_text(text(read(target, root)), encoding="utf-8")
    for file in stale_files(folder, root):
        file.unlink()
        print(f"removed {file.name}: databricks.yml has no target {file.stem}")


if __name__ == "__main__":
    write()
