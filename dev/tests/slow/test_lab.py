"""Cells of the incident lab: a supervised job reports a dead query at once, an unsupervised one never does."""

from pathlib import Path

import pytest

from dabs_lab.lab.cell import run_cell
from dabs_lab.lab.results import Cell, LaneKind, State, Verdict
from sensor_streams_dev.lab.project import LabProject

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("lab")]
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> LabProject:
    return LabProject(tmp_path_factory.mktemp("lab"))


def run(project: LabProject, incident: str, shape: str) -> Cell:
    (one,) = (one for one in project.incidents if one.id == incident)
    (form,) = (form for form in project.shapes if form.id == shape)
    steps: list[str] = []
    cell = run_cell(project, one, form, 1, steps.append)
    assert cell.verdict != Verdict.NOT_SHOWN, f"{cell.note}; {steps}"
    return cell


def spans(cell: Cell, kind: LaneKind, state: State) -> list[tuple[float, float]]:
    return [(bar.begin, bar.end) for lane in cell.lanes if lane.kind == kind for bar in lane.bars if bar.state == state]


def test_a_supervised_job_reports_a_dead_query_in_two_seconds_and_loses_nothing(
    project: LabProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    cell = run(project, "query-fails", "single_task")
    figures = cell.figures
    assert cell.verdict == Verdict.HELD, cell.broken
    assert figures.detection_seconds is not None
    assert figures.detection_seconds <= 2
    assert (figures.rows_lost, figures.rows_duplicated, figures.rows_wrong, figures.alerts_wrong) == (0, 0, 0, 0)
    assert figures.recovery_seconds is not None
    assert figures.person == ""
    assert [note.recipients for note in figures.notifications] == [["you@example.org"]]
    # The timeline shows the death, which the task's attempt ended with.
    assert spans(cell, LaneKind.TRUE, State.DEAD)
    assert len(spans(cell, LaneKind.TASK, State.RUNNING)) == 2


def test_without_supervision_the_lab_finds_a_dead_query_in_a_running_job(
    project: LabProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    cell = run(project, "query-fails", "awaits_in_order")
    assert cell.verdict == Verdict.BROKEN
    assert cell.figures.detection_seconds is None
    assert cell.figures.silent_seconds > 20
    assert cell.figures.notifications == ()
    assert "the job is started again" in cell.figures.person
