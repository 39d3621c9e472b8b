"""Test of the lab itself: each incident runs without the protection that it is about, and must report a broken promise.

A lab that finds nothing without a protection would prove nothing with it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dabs_lab.lab.cell import run_cell
from dabs_lab.lab.declarations import Incident
from dabs_lab.lab.matrix import Board
from dabs_lab.lab.results import Verdict
from sensor_streams_dev.lab.project import LabProject
from sensor_streams_dev.lab.shapes import DEPLOYABLE
from sensor_streams_dev.lab.without.protections import PROTECTIONS, Protection

# Most protections act in the same way in each shape, and this one has all streams in one task.
SHAPE = DEPLOYABLE[0]
FILE = "unprotected.json"


@dataclass(frozen=True)
class Unprotected:
    """Result of an incident without a protection. reported: broken promises; without one, the lab is blind to it."""

    incident: str
    protection: str
    about: str
    instead: str
    verdict: str
    reported: Sequence[str]
    note: str = ""


def pairs(only: Sequence[str] = ()) -> list[tuple[Protection, str]]:
    """Return each protection with the incidents that need it; only: ids of incidents."""
    return [(one, incident) for one in PROTECTIONS for incident in one.incidents if not only or incident in only]


def run_unprotected(folder: Path, only: Sequence[str], file: Path, board: Board) -> list[Unprotected]:
    """Run incidents without their protection; `file` gets each result at once, and those of other incidents stay."""
    made = {one.incident: one for one in read_unprotected(file)}
    todo = pairs(only)
    for at, (protection, name) in enumerate(todo):
        project = LabProject(folder, without=protection)
        incident = _incident(project, name, protection)
        board.begin(incident, SHAPE, 1, len(todo) - at, None)
        cell = run_cell(project, incident, SHAPE, 1, board.step, until_quiet=True)
        board.end(cell)
        made[name] = Unprotected(
            name, protection.id, protection.about, protection.instead, cell.verdict.value, cell.broken, cell.note
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        ordered = [made[incident] for _, incident in pairs() if incident in made]
        file.write_text(json.dumps([asdict(one) for one in ordered], indent=1), "utf-8")
    return [made[name] for _, name in todo]


def _incident(project: LabProject, name: str, protection: Protection) -> Incident:
    found = next(one for one in project.incidents if one.id == name)
    return found if protection.repaired else replace(found, repair=None)


def read_unprotected(file: Path) -> list[Unprotected]:
    """Return the results in a file; none without a file."""
    return [Unprotected(**one) for one in json.loads(file.read_text("utf-8"))] if file.exists() else []


def blind(results: Sequence[Unprotected]) -> Iterator[str]:
    """Yield the incidents whose missing protection the lab did not report."""
    yield from (one.incident for one in results if one.verdict != Verdict.BROKEN.value)
