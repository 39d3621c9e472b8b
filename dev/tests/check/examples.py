"""Examples of the rules: files that break a rule, follow it, and nearly break it."""

import re
import shutil
from pathlib import Path

EXAMPLES = Path(__file__).parent / "examples"
KINDS = ("wrong", "right", "near_miss")
_MARK = re.compile(r"# <- (D\d+)\s*$")


def example_of(rule: str, kind: str) -> Path:
    """Return the file or folder of an example of a rule, for example of D101."""
    (folder,) = EXAMPLES.glob(f"{rule}-*")
    file = folder / f"{kind}.yml"
    return file if file.is_file() else folder / kind


def bundle_of(example: Path, folder: Path) -> Path:
    """Copy an example to a folder, as a bundle."""
    if example.is_dir():
        shutil.copytree(example, folder, dirs_exist_ok=True)
    else:
        (folder / "databricks.yml").write_bytes(example.read_bytes())
    return folder


def marked(folder: Path) -> list[tuple[str, str, int]]:
    """Return rule, file and line of each comment `# <- D101`."""
    found = []
    for file in sorted(folder.rglob("*.y*ml")):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            if match := _MARK.search(line):
                found.append((match[1], file.relative_to(folder).as_posix(), number))
    return sorted(found)
