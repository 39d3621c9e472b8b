"""Figures of a cell are what docs/lab.md says, from events and states with known times."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dabs_lab.lab.declarations import Incident, Loss, Shape, StreamPlace
from dabs_lab.lab.job_process import JobProcess, Seen
from dabs_lab.lab.measuring import (
    broken_promises,
    collateral,
    detection,
    figures_of,
    knowable_at,
    lanes_of,
    silent_seconds,
)
from dabs_lab.lab.results import Figures, IncidentText, LaneKind, ShapeText, State
from dabs_lab.lab.scene import Scene
from dabs_lab.lab.watching import Change

_END = 100.0
_INCIDENT = Incident(
    IncidentText(id="i", group="g", title="t", story="s", injected="i", must_hold="m"), lambda scene: None
)


@dataclasses.dataclass
class FolderStage:
    """Stage of the streams a and b, whose jobs print nothing."""

    folder: Path
    seed: int = 1
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def streams(self) -> Sequence[StreamPlace]:
        return [StreamPlace(name, self.folder / name) for name in ("a", "b")]

    def words(self, job: str) -> Sequence[str]:
        return ["timeit", "-n1", "-r1", "pass"]

    def land(self) -> int:
        return 0

    def complete(self) -> bool:
        return True

    def loss(self) -> Loss:
        return Loss()


MakeScene = Callable[..., Scene]


@pytest.fixture
def make_scene(tmp_path: Path) -> Iterator[MakeScene]:
    with ExitStack() as stack:

        def make(*jobs: str, bounded: bool = False, starts: int = 1) -> Scene:
            shape = Shape(ShapeText(id="s", title="t", about="a"), jobs, bounded=bounded)
            scene = stack.enter_context(Scene(FolderStage(tmp_path), shape, lambda _: None))
            for _ in range(starts):
                scene.start()
            scene.watch.close()
            return scene

        yield make


def happens(scene: Scene, job: JobProcess, at: float, event: str, **data: Any) -> None:
    job.events.append(Seen(scene.started + at, {"event": event, **data}))


def becomes(scene: Scene, stream: str, *states: tuple[float, State]) -> None:
    scene.watch.changes += [Change(scene.started + at, stream, state) for at, state in states]


def fault(scene: Scene, at: float, *hit: str) -> float:
    scene.fault_at, scene.hit = scene.started + at, hit
    return at


def silence(scene: Scene) -> float:
    return silent_seconds(scene, lanes_of(scene, _END), _END)


def test_silence_lasts_until_the_notification_also_within_one_state(make_scene: MakeScene) -> None:
    scene = make_scene("job")
    (job,) = scene.jobs
    happens(scene, job, 0, "run", run=1, state="RUNNING")
    becomes(scene, "a", (1, State.WORKING), (10, State.STUCK))
    assert silence(scene) == pytest.approx(90)
    happens(scene, job, 80, "notification", kind="on_failure", emails=["me@example.org"])
    assert silence(scene) == pytest.approx(70)


def test_a_job_that_does_not_report_running_is_not_silent(make_scene: MakeScene) -> None:
    scene = make_scene("job")
    (job,) = scene.jobs
    happens(scene, job, 0, "run", run=1, state="RUNNING")
    happens(scene, job, 30, "run", run=1, state="TERMINATED", result="FAILED")
    becomes(scene, "a", (1, State.WORKING), (20, State.DEAD))
    assert silence(scene) == pytest.approx(10)


def test_streams_and_notifications_of_another_job_are_not_mixed_up(make_scene: MakeScene) -> None:
    scene = make_scene("one", "two")
    one, two = scene.jobs
    for job in (one, two):
        happens(scene, job, 0, "run", run=1, state="RUNNING")
    scene.watch.owners |= {"a": "one", "b": "two"}
    becomes(scene, "a", (1, State.WORKING), (60, State.DEAD))
    becomes(scene, "b", (1, State.WORKING))
    # The notification of the other job does not mention this stream.
    happens(scene, two, 60, "notification", kind="on_failure", emails=["me@example.org"])
    assert silence(scene) == pytest.approx(40)
    true = {lane.title: lane for lane in lanes_of(scene, _END) if lane.kind == LaneKind.TRUE}
    assert [bar.state for bar in true["job one"].bars] == [State.WORKING, State.DEAD]
    assert [bar.state for bar in true["job two"].bars] == [State.WORKING]


def test_a_job_without_streams_has_no_silence_and_no_detection(make_scene: MakeScene) -> None:
    scene = make_scene("job")
    (job,) = scene.jobs
    happens(scene, job, 0, "run", run=1, state="RUNNING")
    fault(scene, 5)
    figures = figures_of(scene, _INCIDENT, lanes_of(scene, _END), Loss(), 20.0, _END)
    assert (figures.silent_seconds, figures.detection_seconds, figures.recovery_seconds) == (0, None, 15)


def test_a_person_who_stops_the_job_has_not_detected_the_fault_for_it(make_scene: MakeScene) -> None:
    scene = make_scene("job")
    (job,) = scene.jobs
    happens(scene, job, 0, "run", run=1, state="RUNNING")
    becomes(scene, "a", (1, State.WORKING), (10, State.DEAD))
    at = fault(scene, 9)
    job.stopped_at = scene.started + 70
    happens(scene, job, 71, "run", run=1, state="TERMINATED", result="CANCELED")
    assert detection(scene, lanes_of(scene, _END), at, _INCIDENT) is None
    happens(scene, job, 12, "attempt", attempt=1, state="TERMINATED", result="FAILED")
    assert detection(scene, lanes_of(scene, _END), at, _INCIDENT) == pytest.approx(2)


def test_streams_that_a_person_has_stopped_are_not_silently_dead(make_scene: MakeScene) -> None:
    scene = make_scene("job")
    (job,) = scene.jobs
    happens(scene, job, 0, "run", run=1, state="RUNNING")
    becomes(scene, "a", (1, State.WORKING), (10, State.DEAD), (60, State.WORKING))
    becomes(scene, "b", (1, State.WORKING), (34, State.DEAD), (60, State.WORKING))
    # The stop takes a while, in which stream b ends; afterwards the person starts the job again.
    job.stopped_at = scene.started + 30
    happens(scene, job, 50, "run", run=2, state="RUNNING")
    assert silence(scene) == pytest.approx(20)


def test_a_scene_is_quiet_when_nothing_has_changed_for_a_while(make_scene: MakeScene) -> None:
    scene = make_scene("job")
    (job,) = scene.jobs
    assert not scene.quiet(40)
    becomes(scene, "a", (-50, State.WORKING))
    assert scene.quiet(40)
    happens(scene, job, -10, "attempt", attempt=1, state="RUNNING")
    assert not scene.quiet(40)
    scene.watch.commits["b"].append((scene.started - 5, 1))
    assert not scene.quiet(8)


def test_detection_counts_from_the_moment_at_which_the_process_can_know(make_scene: MakeScene) -> None:
    scene = make_scene("job")
    (job,) = scene.jobs
    becomes(scene, "a", (1, State.WORKING), (10, State.STUCK), (75, State.DEAD))
    at = fault(scene, 12)
    happens(scene, job, 73, "attempt", attempt=1, state="TERMINATED", result="FAILED")
    slow = dataclasses.replace(_INCIDENT, stuck_after=60)
    assert detection(scene, lanes_of(scene, _END), at, slow) == pytest.approx(3)
    # The stream has ended before it had been stuck for so long: its end is the first thing to know.
    slower = dataclasses.replace(_INCIDENT, stuck_after=70)
    assert knowable_at(lanes_of(scene, _END), at, slower) == pytest.approx(75)
    ends_in_order = dataclasses.replace(_INCIDENT, stuck_after=70, known_after=10)
    assert knowable_at(lanes_of(scene, _END), at, ends_in_order) == pytest.approx(85)


def test_a_stream_that_was_dead_before_the_fault_did_not_die_of_it(make_scene: MakeScene) -> None:
    scene = make_scene("job")
    becomes(scene, "a", (1, State.WORKING), (10, State.DEAD), (20, State.PENDING), (25, State.WORKING))
    assert knowable_at(lanes_of(scene, _END), 15, _INCIDENT) is None
    becomes(scene, "a", (30, State.DEAD))
    assert knowable_at(lanes_of(scene, _END), 15, _INCIDENT) == pytest.approx(30)


def test_starts_are_no_collateral_damage_and_restarts_are(make_scene: MakeScene) -> None:
    scene = make_scene("job", bounded=True)
    at = fault(scene, 5, "a")
    becomes(scene, "a", (1, State.WORKING), (6, State.DEAD))
    # The first start, a start of the next run, and one after the death of the query.
    steps = [(8, State.PENDING), (20, State.WORKING), (30, State.ENDED), (40, State.PENDING), (50, State.WORKING)]
    becomes(scene, "b", *steps, (60, State.DEAD), (65, State.PENDING), (72, State.WORKING))
    lanes = lanes_of(scene, _END)
    damage = collateral(scene, lanes, Loss(by_table={"a": 9}), at, _END)
    assert {name: (one.seconds, one.rows) for name, one in damage.items()} == {"b": (12, 0)}


def test_damage_before_the_fault_and_after_the_recovery_is_not_counted(make_scene: MakeScene) -> None:
    scene = make_scene("job")
    at = fault(scene, 12, "a")
    becomes(scene, "b", (1, State.WORKING), (10, State.DEAD), (14, State.WORKING), (90, State.DEAD))
    (damage,) = collateral(scene, lanes_of(scene, _END), Loss(), at, 80).values()
    assert damage.seconds == pytest.approx(2)


def test_attempts_and_runs_of_each_process_of_a_job_are_counted(make_scene: MakeScene) -> None:
    scene = make_scene("job", starts=2)
    for number, job in enumerate(scene.jobs):
        happens(scene, job, 10 * number, "run", run=1, state="RUNNING")
        happens(scene, job, 10 * number, "attempt", attempt=2, state="RUNNING")
    # Skipped in the first process, while the second one has a run of the same number.
    happens(scene, scene.jobs[0], 5, "run", run=3, state="TERMINATED", result="MAXIMUM_CONCURRENT_RUNS_REACHED")
    happens(scene, scene.jobs[1], 20, "run", run=1, state="TERMINATED", result="SUCCESS")
    happens(scene, scene.jobs[1], 30, "run", run=3, state="RUNNING")
    happens(scene, scene.jobs[1], _END + 1, "run", run=4, state="RUNNING")
    lanes = lanes_of(scene, _END)
    figures = figures_of(scene, _INCIDENT, lanes, Loss(), None, _END)
    assert (figures.attempts, figures.runs) == (2, 3)
    assert [(bar.begin, bar.end, bar.state) for bar in lanes[0].bars] == [
        (0, 20, State.RUNNING),
        (20, 30, State.ENDED),
        (30, 100, State.RUNNING),
    ]


def test_a_job_that_a_person_had_to_start_again_broke_a_promise() -> None:
    found = broken_promises(Figures(), Loss(), _INCIDENT, None, [], recovered=True, restarted=True)
    assert found == ["a person had to start the job again"]
    assert broken_promises(Figures(), Loss(), _INCIDENT, None, [], recovered=True, restarted=False) == []


def test_a_promise_of_the_incident_alone_is_reported_too() -> None:
    own = ["rows were written to the wrong location"]
    assert broken_promises(Figures(), Loss(), _INCIDENT, None, own, recovered=True, restarted=False) == own


def test_a_failure_that_the_job_never_shows_is_a_broken_promise_unless_nobody_can_know() -> None:
    undetectable = dataclasses.replace(_INCIDENT, undetectable="no stream fails")
    found = [
        broken_promises(Figures(), Loss(), one, 3.0, [], recovered=True, restarted=False)
        for one in (_INCIDENT, undetectable)
    ]
    assert found == [["the job never reported it"], []]
