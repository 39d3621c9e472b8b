"""Cells of the incident lab: a supervised job loses nothing, and without supervision the lab reports the silence."""

from pathlib import Path

import pytest

from dabs_lab.lab.cell import run_cell
from dabs_lab.lab.results import Cell, LaneKind, State, Verdict
from sensor_streams_dev.lab.project import LabProject
from sensor_streams_dev.lab.without.protections import PROTECTIONS, Protection

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("lab")]
ROOT = Path(__file__).parents[3]
# The promise is two seconds, which docs/lab measures on an idle machine. Other tests run next to this one.
_LOADED_SECONDS = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def run(folder: Path, incident: str, shape: str, without: Protection | None = None) -> Cell:
    project = LabProject(folder, sets=2, without=without)
    (one,) = (one for one in project.incidents if one.id == incident)
    (form,) = (form for form in project.shapes if form.id == shape)
    steps: list[str] = []
    cell = run_cell(project, one, form, 1, steps.append, until_quiet=without is not None)
    assert cell.verdict != Verdict.NOT_SHOWN, f"{cell.note}; {steps}"
    return cell


def spans(cell: Cell, kind: LaneKind, state: State) -> list[tuple[float, float]]:
    return [(bar.begin, bar.end) for lane in cell.lanes if lane.kind == kind for bar in lane.bars if bar.state == state]


def lost(cell: Cell) -> tuple[int, ...]:
    figures = cell.figures
    return (
        figures.rows_lost,
        figures.rows_duplicated,
        figures.rows_wrong,
        figures.alerts_wrong,
        figures.lines_unaccounted,
    )


def test_a_supervised_job_reports_a_dead_query_and_loses_nothing(folder: Path) -> None:
    cell = run(folder, "query-fails", "single_task")
    figures = cell.figures
    assert lost(cell) == (0, 0, 0, 0, 0)
    assert figures.detection_seconds is not None
    assert figures.detection_seconds < _LOADED_SECONDS
    assert figures.recovery_seconds is not None
    assert figures.person == ""
    assert [note.recipients for note in figures.notifications] == [["you@example.org"]]
    # The timeline shows the death, which the task's attempt ended with.
    assert spans(cell, LaneKind.TRUE, State.DEAD)
    assert len(spans(cell, LaneKind.TASK, State.RUNNING)) == 2


def test_without_supervision_the_lab_reports_a_dead_query_in_a_running_job(folder: Path) -> None:
    (supervision,) = (one for one in PROTECTIONS if one.id == "supervision")
    cell = run(folder, "query-fails", "single_task", supervision)
    assert cell.verdict == Verdict.BROKEN
    assert "the job never reported it" in cell.broken
    # The batch whose commit failed had written its rows: if no other input followed it, the tables are complete.
    assert cell.figures.silent_seconds > _LOADED_SECONDS
    assert not cell.figures.notifications
