"""Run one cell: an incident in a shape with a seed."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from dabs_lab.errors import DabsLabError
from dabs_lab.lab.declarations import Incident, Loss, Project, Shape
from dabs_lab.lab.measuring import broken_promises, figures_of, knowable_at, lanes_of
from dabs_lab.lab.results import Cell, Figures, MarkKind, Verdict
from dabs_lab.lab.scene import Scene

# Seconds until the first input is in all tables; until the tables are complete after a repair, before somebody starts
# the job again; and after that.
_FIRST, _REPAIRED, _LAST = 240.0, 150.0, 240.0
# Seconds until a person acts: when only a person can help, and otherwise. A bounded shape waits for its next run, and
# that run takes a while.
_NEEDED, _BY_ITSELF, _NEXT_RUN = 25.0, 120.0, 90.0
# Seconds without any change after which nothing more will happen; the first batch of a cold JVM takes up to 20 s.
_QUIET = 40.0


def run_cell(
    project: Project,
    incident: Incident,
    shape: Shape,
    seed: int,
    say: Callable[[str], None],
    *,
    until_quiet: bool = False,
) -> Cell:
    """Run the jobs of a shape, inject the fault, wait for the recovery, compare all tables; return the result.

    A cell that could not be run to its end shows nothing; its note says why. until_quiet: each wait for the recovery
    ends when nothing happens any more, and nobody repairs before; so silence is not measured in full.
    """
    if why := incident.not_shown(shape):
        return Cell(incident=incident.id, shape=shape.id, seed=seed, verdict=Verdict.NOT_SHOWN, note=why, seconds=0)
    stage = project.open(shape, seed)
    with _ended_by_sigterm(), Scene(stage, shape, say) as scene:
        try:
            stage.land()
            scene.start()
            if incident.warm:
                scene.until(stage.complete, "the first input in all tables", _FIRST)
            incident.script(scene)
            recovered = _completed(scene, _until_a_person_acts(incident, shape, until_quiet), until_quiet)
            if not recovered and incident.repair is not None:
                incident.repair(scene)
                recovered = _completed(scene, _REPAIRED, until_quiet)
            if not recovered:
                scene.restart()
                recovered = _completed(scene, _LAST, until_quiet=not shape.bounded)
            complete_at = scene.now if recovered else None
            if recovered:
                scene.mark(MarkKind.RECOVERED, "all tables are complete")
            scene.watch.close()
            end = scene.now
            say("stops the job and compares the tables")
            scene.stop()
            loss = stage.loss()
        except Exception as error:
            # One cell must not end a matrix of two hours: libraries that inject faults have errors of their own.
            kind = "" if isinstance(error, DabsLabError) else f"{type(error).__name__}: "
            note = f"the lab did not get there: {kind}{error}"
            return _unfinished(scene, incident, seed, note)
        return _finished(scene, incident, seed, loss, complete_at, end)


def _completed(scene: Scene, seconds: float, until_quiet: bool) -> bool:
    """Wait until all tables are complete; return False if they are not in time, or when all is quiet."""
    scene.reached(lambda: scene.stage.complete() or (until_quiet and scene.quiet(_QUIET)), seconds)
    return scene.stage.complete()


def _until_a_person_acts(incident: Incident, shape: Shape, until_quiet: bool) -> float:
    # An early repair would prevent the damage that a cell without a protection must show.
    if incident.needs_repair and not until_quiet:
        return _NEEDED
    return _BY_ITSELF + _NEXT_RUN if shape.bounded else _BY_ITSELF


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM raise SystemExit: the jobs have sessions of their own, and would go on without the lab."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _finished(scene: Scene, incident: Incident, seed: int, loss: Loss, complete_at: float | None, end: float) -> Cell:
    lanes = lanes_of(scene, end)
    figures = figures_of(scene, incident, lanes, loss, complete_at, end)
    fault = None if scene.fault_at is None else scene.fault_at - scene.started
    known = None if fault is None else knowable_at(lanes, fault, incident)
    broken = broken_promises(
        figures,
        loss,
        incident,
        known,
        scene.broken,
        recovered=complete_at is not None,
        restarted=scene.restarted,
    )
    return Cell(
        incident=incident.id,
        shape=scene.shape.id,
        seed=seed,
        verdict=Verdict.BROKEN if broken else Verdict.HELD,
        broken=broken,
        note=incident.undetectable,
        seconds=round(scene.now, 1),
        fault_at=fault,
        figures=figures,
        lanes=lanes,
        marks=scene.marks,
    )


def _unfinished(scene: Scene, incident: Incident, seed: int, note: str) -> Cell:
    end = scene.now
    return Cell(
        incident=incident.id,
        shape=scene.shape.id,
        seed=seed,
        verdict=Verdict.NOT_SHOWN,
        note=note,
        seconds=round(end, 1),
        figures=Figures(),
        lanes=lanes_of(scene, end),
        marks=scene.marks,
    )
