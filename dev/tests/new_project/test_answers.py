"""Answers to the questions: wrong ones get one line, and nothing half-made is left behind."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dev.tests.new_project.projects import ROOT, make_new
from sensor_streams_dev.new_project.names import reserved

NAMES = {
    "acme-meters": "write 2 to 24 small letters, digits and _, a letter first",
    "Acme": "write 2 to 24 small letters",
    "3rd": "write 2 to 24 small letters",
    "x": "write 2 to 24 small letters",
    "a" * 25: "write 2 to 24 small letters",
    "acme__meters": "write one _ between two words, and none at the end",
    "acme_": "write one _ between two words, and none at the end",
    **dict.fromkeys(
        (
            "class",
            "json",
            "pyspark",
            "test",
            "tests",
            "cluster",
            "dev",
            "dabs_lab",
            "data",
            "python",
            "ruff",
            "scikit_learn",
        ),
        "is the name of a keyword, a module or a folder: choose another name, such as my_sensors",
    ),
}
ANSWERS = {
    '{"catalog": "main.prod"}': "catalog: 'main.prod': write letters, digits, _ and - only",
    '{"catalog": ""}': "catalog: '': write letters",
    '{"cloud": "ibm"}': "cloud: 'ibm' is unknown: write aws, azure or gcp",
    '{"cluod": "aws"}': "cluod is not a question: write one of project_name, cloud, ",
    '{"project_camel": "A"}': "project_camel is not a question",
    '{"notify_email": "me"}': "notify_email: 'me': write one e-mail address",
    '{"notify_destination": "hook"}': "notify_destination: 'hook': write an id such as",
    '{"tables_root": "/data"}': "tables_root: '/data': write s3://",
    '{"dev_tools": true}': "dev_tools: true is not text: write it in quotes",
    "[]": 'not an object: write {"project_name": "acme"}',
    "{": "not JSON: ",
}


def _nothing_left(folder: Path) -> None:
    assert [file.name for file in folder.iterdir() if file.name != "answers.json"] == []


def _refused(done: subprocess.CompletedProcess[str], code: int, message: str) -> None:
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_name_gets_one_line(tmp_path: Path, name: str) -> None:
    _refused(make_new(tmp_path / "new", "--name", name), 2, f"NAME: {name!r}")
    _refused(make_new(tmp_path / "new", "--name", name), 2, NAMES[name])
    _nothing_left(tmp_path)


def test_no_name_of_a_folder_of_the_project_is_accepted() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {path.split("/")[0] for path in listed.splitlines() if "/" in path}
    assert {"cluster", "src", "tests"} < folders
    assert {name for name in folders if name.isidentifier()} <= set(reserved())


def test_a_wrong_name_in_a_file_of_answers_is_reported_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text('{"project_name": "json"}', "utf-8")
    _refused(make_new(tmp_path / "new", "--config", str(file)), 2, f"{file}: project_name: 'json' is the name of")
    _nothing_left(tmp_path)


@pytest.mark.parametrize("text", ANSWERS)
def test_a_wrong_file_of_answers_gets_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "answers.json"
    file.write_text(text, "utf-8")
    _refused(make_new(tmp_path / "new", "--config", str(file)), 2, f"{file}: {ANSWERS[text]}")
    _nothing_left(tmp_path)


def test_an_unreadable_file_of_answers_gets_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone.json"
    _refused(make_new(tmp_path / "new", "--config", str(gone)), 2, f"{gone}: No such file or directory")
    binary = tmp_path / "answers.json"
    binary.write_bytes(b"\xff\xfe")
    _refused(make_new(tmp_path / "new", "--config", str(binary)), 2, f"{binary}: not JSON")
    _nothing_left(tmp_path)


def test_a_folder_that_cannot_be_used_gets_one_line(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    _refused(make_new(tmp_path / "full"), 2, f"{tmp_path}/full: exists and is not empty: give another DIR")
    _refused(make_new(tmp_path / "full/file"), 2, "exists and is not a folder: give another DIR")
    _refused(make_new(tmp_path / "a/b"), 2, f"{tmp_path}/a: no such folder: make it first")
    _refused(make_new(ROOT / "acme"), 2, "is inside the template")
    _refused(make_new(""), 2, "DIR is missing: make new DIR=../acme NAME=acme_meters")
    assert [file.name for file in tmp_path.rglob("*")] == ["full", "file"]


def test_an_empty_folder_is_used_and_defaults_are_taken_without_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    done = make_new(tmp_path / "new")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new/src/my_sensors").is_dir()
    assert [file.name for file in tmp_path.iterdir()] == ["new"]


def test_a_full_disk_gets_one_line(tmp_path: Path) -> None:
    # A limit on the size of files raises the same kind of error as a full disk.
    done = make_new(tmp_path / "new", largest_file=50_000)
    _refused(done, 3, "nothing was made; free the disk or give another DIR")
    _nothing_left(tmp_path)


def test_a_failing_command_gets_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text(
        '#!/bin/sh\ncase "$*" in *commit*) echo "fatal: no space" >&2; exit 128;; *) PATH=$REST exec git "$@";; esac\n'
    )
    (folder / "git").chmod(0o755)
    where = tmp_path / "where"
    where.mkdir()
    done = make_new(where / "new", PATH=f"{folder}:{os.environ['PATH']}", REST=os.environ["PATH"])
    _refused(done, 3, "fatal: no space")
    _nothing_left(where)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "sensor_streams_dev.new_project", "new", "--dir", str(tmp_path / "new")]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(tmp_path.glob(".new-project-*/project")):
        pass
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "error: interrupted: nothing was made\n")
    _nothing_left(tmp_path)


def test_a_terminal_asks_each_question_again_until_the_answer_is_right(tmp_path: Path) -> None:
    written = "bad-name\nacme\nazure\n\ndestination\nhook\n0481e838-0a59-4eff-9541-a4ca6f149574\n\nshared_cluster\nno\n"
    shown = _on_a_terminal(tmp_path / "new", written)
    assert "write 2 to 24 small letters" in shown
    assert "write an id such as" in shown
    assert "Address for e-mails" not in shown
    text = (tmp_path / "new/databricks.yml").read_text("utf-8")
    assert "0481e838-0a59-4eff-9541-a4ca6f149574" in text
    assert "Standard_D4ds_v5" in text
    assert not (tmp_path / "new/dev/tests").exists()


def test_the_end_of_the_input_leaves_nothing_behind(tmp_path: Path) -> None:
    assert "interrupted: nothing was made" in _on_a_terminal(tmp_path / "new", "acme\n\x04")
    _nothing_left(tmp_path)


def _on_a_terminal(folder: Path, written: str) -> str:
    """Run the command on a terminal, type a text, and return what the terminal shows."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "sensor_streams_dev.new_project", "new", "--dir", str(folder)]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "COLUMNS": "200"}
    )
    os.close(theirs)
    os.write(ours, written.encode())
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            part = b""
        if not part:
            break
        shown += part
    os.close(ours)
    process.wait(timeout=60)
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode(errors="replace"))
