"""Every command of README and docs parses, and the commands work in any order, each in its own process."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from sensor_streams_dev.cli import app
from sensor_streams_dev.java_options import QUICK
from tests.policies.golden import ROOT, copy_bundle

_COMMAND = re.compile(r"^\s*(?:\.venv/bin/)?sensor-streams\s+(.*?)(?:\s+#.*|\s+//.*)?$", re.MULTILINE)
_INLINE = re.compile(r"`(?:\.venv/bin/)?sensor-streams ([^`]+)`")


def documented() -> list[list[str]]:
    """Return the commands of README and docs, split into words, without lists of names and trees."""
    texts = [(ROOT / "README.md").read_text("utf-8")]
    texts += [file.read_text("utf-8") for file in sorted((ROOT / "docs").glob("*.md"))]
    whole = "\n".join(texts)
    lines = [
        line for line in _COMMAND.findall(whole) + _INLINE.findall(whole) if " | " not in line and "   " not in line
    ]
    # A placeholder <…> counts as one word; text after & is another command.
    return [shlex.split(re.sub("<[^>]*>", "mine", line).partition(" & ")[0]) for line in lines]


def test_every_command_of_the_docs_parses() -> None:
    group: Any = typer.main.get_command(app)
    shown = documented()
    assert {words[0] for words in shown} >= {"run", "preflight", "verify", "rebuild", "simulate"}
    for words in shown:
        assert words[0] in group.commands, words
        # Parse only.
        group.commands[words[0]].make_context(words[0], words[1:])


# What a command needs (NEEDS) and what it creates (CREATES).
NEEDS = {
    "train": {"features"},
    "verify": {"features"},
    "rebuild sensor_features": {"features"},
    "rebuild anomaly_scores": {"features", "models", "scores"},
    "run train": {"features"},
    "stream inference": {"features"},
}
CREATES = {
    "stream feature_extraction": {"features"},
    "stream": {"features"},
    "train": {"models"},
    "run train": {"models"},
    "stream inference": {"scores"},
}
# First on an empty home, then in the order of the README. OTHER_ORDER is the reverse.
ORDER = [
    "verify",
    "train",
    "rebuild sensor_features",
    "maintain",
    "preflight single_task",
    "failures failures.jsonl",
    "stream feature_extraction",
    "train",
    "stream inference",
    "rebuild anomaly_scores",
    "verify",
]
OTHER_ORDER = [
    "stream",
    "run train",
    "rebuild sensor_features",
    "maintain",
    "stream inference",
    "failures failures.jsonl",
    "verify",
]


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with the files that a small fleet has sent and its failures."""
    folder = copy_bundle(tmp_path_factory.mktemp("landed"))
    words = ["simulate", "--days", "2", "--devices", "2", "--files-every", "12", "--landing", "landing"]
    done = command(folder, [*words, "--failures", "failures.jsonl"])
    assert done.returncode == 0, done.stderr
    return folder


def command(folder: Path, words: list[str]) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "JAVA_TOOL_OPTIONS": QUICK}
    whole = [sys.executable, "-m", "sensor_streams_dev.cli", *words]
    return subprocess.run(whole, capture_output=True, text=True, cwd=folder, env=environment, timeout=400, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("order", [ORDER, OTHER_ORDER], ids=["order of the docs", "another order"])
def test_every_command_works_in_its_own_process_in_any_order(landed: Path, tmp_path: Path, order: list[str]) -> None:
    home = tmp_path / "home"
    landing = home / "volumes" / "landing"
    landing.parent.mkdir(parents=True)
    landing.symlink_to(landed / "landing")
    created: set[str] = set()
    for name in order:
        words = [str(landed / word) if word.endswith(".jsonl") else word for word in name.split()]
        done = command(landed, [*words, "--home", str(home)])
        output = done.stdout + done.stderr
        missing = NEEDS.get(name, set()) - created
        assert "drop" not in output, name
        assert "Traceback" not in output, (name, output[-3000:])
        if missing:
            assert done.returncode == 1, (name, output[-2000:])
            assert len(done.stderr.strip().splitlines()) == 1, (name, done.stderr)
            continue
        # A preflight with findings is not a failure here.
        assert done.returncode in ((0, 1, 4) if name.startswith("preflight") else (0,)), (name, output[-3000:])
        if name == "run train":
            assert "attempt 2" not in output, output
        created |= CREATES.get(name, set())
