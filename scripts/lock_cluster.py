"""Write cluster/requirements.txt: what a cluster installs for the wheel in addition to the packages of its runtime.

`make lock` runs it. It needs uv and an index. Versions of the runtime (cluster/runtime.txt) stay wherever the wheel's
dependencies allow them; versions of an older lock stay too. Delete cluster/requirements.txt first to get newer ones.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNTIME, LOCK = Path("cluster/runtime.txt"), Path("cluster/requirements.txt")
# A pin with the lines of its hashes and of the packages that need it.
_PIN = re.compile(r"^(?P<name>[a-z0-9.-]+)(?:\[[^]]*\])?==(?P<version>[^\s;]+).*\n(?:[ \t]+.*\n)*", re.MULTILINE)


def entries(text: str) -> dict[str, tuple[str, str]]:
    """Return version and lines of each pin of a requirements file, by package name."""
    return {found["name"]: (found["version"], found[0]) for found in _PIN.finditer(text)}


def fact(text: str, name: str) -> str:
    """Return a fact of the head of the runtime's list: `runtime` or `python`."""
    found = re.search(rf"^# {name}: (\S+)$", text, re.MULTILINE)
    if found is None:
        sys.exit(f"{RUNTIME}: its head has no line `# {name}: …`: add it")
    return found[1]


def head(folder: Path) -> str:
    """Return the head of the lock. It names what the lock was made from, so that a test can find an old one."""
    runtime = (folder / RUNTIME).read_text("utf-8")
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return (
        "# What a cluster installs for the wheel, in addition to the packages of its runtime. `make lock` writes it.\n"
        f"# runtime: {fact(runtime, 'runtime')}, Python {fact(runtime, 'python')}\n"
        f"# {RUNTIME.name}: sha256 {hashlib.sha256(runtime.encode()).hexdigest()}\n"
        f"# dependencies: {', '.join(project['dependencies'])}\n"
    )


def resolve(folder: Path, seed: str, *options: str) -> dict[str, tuple[str, str]] | str:
    """Return the pins for all dependencies of the wheel, or uv's message; versions of the seed are preferred."""
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary) / "requirements.txt"
        output.write_text(seed, encoding="utf-8")
        command = ["uv", "pip", "compile", "pyproject.toml", "--quiet", "--generate-hashes", "--no-emit-index-url"]
        command += ["--python-platform", "linux", "--no-header", "--output-file", str(output), *options]
        ended = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        return ended.stderr if ended.returncode else entries(output.read_text("utf-8"))


def main() -> None:
    """Write the lock; exit with uv's message when the dependencies cannot be resolved."""
    text = (ROOT / RUNTIME).read_text("utf-8")
    brought = {name: version for name, (version, _) in entries(text).items()}
    before = (ROOT / LOCK).read_text("utf-8") if (ROOT / LOCK).exists() else ""
    python = ("--python-version", fact(text, "python"))
    found = resolve(ROOT, text + before, *python, "--constraints", str(RUNTIME))
    if isinstance(found, str):
        # Some version of the runtime is not allowed. The lock replaces it, and only what depends on that.
        found = resolve(ROOT, text + before, *python)
    if isinstance(found, str):
        sys.exit(found)
    own = {name: lines for name, (version, lines) in found.items() if brought.get(name) != version}
    (ROOT / LOCK).write_text(head(ROOT) + "".join(own.values()), encoding="utf-8")
    for name in sorted(own.keys() & brought.keys()):
        print(f"{LOCK}: replaces {name} {brought[name]} of the runtime by {found[name][0]}")


if __name__ == "__main__":
    main()
