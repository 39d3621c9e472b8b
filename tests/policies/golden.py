"""Golden files of the resolved bundle, so that a review shows what a change deploys. `make golden` rewrites them."""

import json
import shutil
from pathlib import Path

from dabs_lab.bundle import Bundle, load_bundle
from tests.rows import FIXTURES

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "golden"
TARGETS = ("dev", "staging", "prod")
# Values for the variables without a default.
GIVEN = {
    "catalog": "plant",
    "principal": "00000000-0000-0000-0000-000000000000",
    "alert_email": "sensor-team@example.org",
}


def read(target: str, folder: Path = ROOT, strict: bool = True) -> Bundle:
    """Return the project's bundle for a target, with the values above."""
    # Target dev has defaults for the other variables.
    given = {"catalog": GIVEN["catalog"]} if target == "dev" else GIVEN
    return load_bundle(folder, target, variables=given, user="somebody@example.org", strict=strict)


def copy_bundle(folder: Path) -> Path:
    """Copy the bundle to a folder, with a fleet of the tests and a file for each pattern of `sync.exclude`."""
    for file in (ROOT / "databricks.yml", ROOT / "local.yml", FIXTURES / "sensors.yml"):
        shutil.copy(file, folder)
    for name in ("resources", "cluster"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "src").mkdir()
    (folder / "src" / "code.py").touch()
    (folder / "README.md").touch()
    return folder


def text(bundle: Bundle) -> str:
    """Return the content of the golden file of a bundle."""
    return json.dumps(bundle.resources, indent=2, sort_keys=True) + "\n"


def main() -> None:
    """Write the golden files."""
    FOLDER.mkdir(exist_ok=True)
    for target in TARGETS:
        (FOLDER / f"{target}.json").write_text(text(read(target)), encoding="utf-8")


if __name__ == "__main__":
    main()
