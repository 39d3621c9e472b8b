"""The engine of the lab works for any bundle: a task that is killed and retried, without streams."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dabs_lab.lab.cell import run_cell
from dabs_lab.lab.declarations import Incident, Loss, Shape, StreamPlace
from dabs_lab.lab.faults import kill
from dabs_lab.lab.results import IncidentText, LaneKind, ShapeText, State, Verdict
from dabs_lab.lab.scene import Scene
from dev.tests.runner.bundles import bundle, waits
from sensor_streams_dev.java_options import FEW_ROWS

pytestmark = pytest.mark.slow
_SHAPE = Shape(ShapeText(id="one", title="one task", about="One task that waits."), ("small",))


@dataclass
class FolderStage:
    """Stage whose tables are complete when the second attempt has begun."""

    folder: Path
    seed: int = 1
    streams: Sequence[StreamPlace] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: {"JAVA_TOOL_OPTIONS": FEW_ROWS})

    def words(self, job: str) -> Sequence[str]:
        return ["dabs_lab.cli", "run", job, "--json"]

    def land(self) -> int:
        return 0

    def complete(self) -> bool:
        return (self.folder / "a-2.ready").exists()

    def loss(self) -> Loss:
        return Loss(lost=3, by_table={"rows": 3})


@dataclass
class FolderProject:
    shapes: Sequence[Shape]
    incidents: Sequence[Incident]
    stage: FolderStage

    def open(self, shape: Shape, seed: int) -> FolderStage:
        return self.stage


def _killed(scene: Scene) -> None:
    (job,) = scene.jobs
    ready = scene.stage.folder / "a-1.ready"
    scene.until(ready.exists, "the first attempt")
    scene.fault("kill -9 of the task")
    kill(job.pids("process", task="a")[-1])


def _incident(**more: object) -> Incident:
    text = IncidentText(id="killed", group="g", title="t", story="s", injected="i", must_hold="m")
    return Incident(text, _killed, warm=False, **more)  # type: ignore[arg-type]


def test_a_cell_of_a_foreign_bundle_shows_both_attempts_and_reports_the_loss(tmp_path: Path) -> None:
    more: dict[str, Any] = {"max_retries": 1, "email_notifications": {"on_failure": ["me@example.org"]}}
    folder = bundle(tmp_path / "bundle", [waits("a", **more)])
    incident = _incident()
    project = FolderProject([_SHAPE], [incident], FolderStage(folder))
    steps: list[str] = []
    cell = run_cell(project, incident, _SHAPE, 1, steps.append)
    assert cell.verdict == Verdict.BROKEN, (cell.note, steps)
    assert cell.broken == ["3 rows lost (rows 3)"]
    (task,) = (lane for lane in cell.lanes if lane.kind == LaneKind.TASK)
    states = [(bar.state, bar.label) for bar in task.bars if bar.state != State.PENDING]
    assert states == [(State.RUNNING, "attempt 1"), (State.RUNNING, "attempt 2")]
    assert cell.figures.attempts == 2
    assert cell.figures.recovery_seconds is not None
    (note,) = cell.figures.notifications
    assert note.recipients == ["me@example.org"]
    assert note.setting == "email_notifications.on_failure of the task"
    assert cell.fault_at is not None
    assert note.at >= cell.fault_at


def test_a_cell_that_this_machine_cannot_show_says_why_and_starts_nothing(tmp_path: Path) -> None:
    incident = _incident(not_shown=lambda _: "no clock")
    project = FolderProject([_SHAPE], [incident], FolderStage(tmp_path))
    cell = run_cell(project, incident, _SHAPE, 1, lambda _: None)
    assert (cell.verdict, cell.note, list(tmp_path.iterdir())) == (Verdict.NOT_SHOWN, "no clock", [])
