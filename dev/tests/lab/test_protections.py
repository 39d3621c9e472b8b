"""The lab can take each protection away from the processes of a job, and only there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sensor_streams_dev.lab.incidents import INCIDENTS
from sensor_streams_dev.lab.project import environment_without
from sensor_streams_dev.lab.unprotected import Unprotected, blind, pairs
from sensor_streams_dev.lab.without.protections import PROTECTIONS, VARIABLE

# The first one is a form without protection. Memory that is missing has no protection of its own: the task fails, and
# `supervision` and `replay` do the rest. The last two are not shown.
_WITHOUT = {"location-plain-append", "driver-heap", "python-memory", "wheel-gone", "clock-back"}
_CHANGE_ALL = """
from importlib import import_module
from sensor_streams_dev.lab.without.protections import PROTECTIONS
for one in PROTECTIONS:
    for name, change in one.changes.items():
        change(import_module(name))
"""
_SHOW = """
import sensor_streams.runtime.task as task
print(task.Supervisor._failures.__name__)
"""


def _python(text: str, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", text], env={**os.environ, **more}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_each_incident_has_one_protection() -> None:
    names = [incident for _, incident in pairs()]
    assert len(names) == len(set(names))
    assert {one.id for one in INCIDENTS} == {*names, *_WITHOUT}


def test_each_protection_is_where_the_lab_expects_it() -> None:
    _python(_CHANGE_ALL)


def test_a_protection_is_taken_away_from_processes_with_its_name_only() -> None:
    (supervision,) = (one for one in PROTECTIONS if one.id == "supervision")
    assert _python(_SHOW) == "_failures"
    assert _python(_SHOW, **environment_without(supervision)) == "<lambda>"


@pytest.mark.parametrize(("verdict", "found"), [("broken", []), ("held", ["a"]), ("not shown", ["a"])])
def test_the_lab_is_blind_to_an_incident_that_it_does_not_report(verdict: str, found: list[str]) -> None:
    assert list(blind([Unprotected("a", "p", "", "", verdict, [])])) == found


def test_the_deployed_code_has_no_switch_for_a_protection() -> None:
    folder = Path(__file__).parents[3] / "src"
    assert not [file for file in folder.rglob("*.py") if VARIABLE in file.read_text("utf-8")]
