"""Incidents around the job: catalog, backlog, clock, and a neighbour that fails without end."""

from dabs_lab.lab.declarations import Shape
from dabs_lab.lab.faults import blocked, kill
from dabs_lab.lab.scene import Scene
from sensor_streams_dev.lab.incidents.declare import INFERENCE, checkpoint, incident, stage_of, until_failed_again

_GROUP = "Surroundings"
_OUTAGE = 27.0
_FAILURES = 6


def _no_catalog(scene: Scene) -> None:
    catalog = stage_of(scene).home / "catalog.json"
    kept = catalog.read_text("utf-8")
    process = scene.process_of("anomaly_scores")
    scene.fault(f"the catalog answers with errors for {_OUTAGE:.0f} s, and a task dies in that time", *INFERENCE)
    catalog.write_text("503 Service Unavailable\n", "utf-8")
    kill(process)
    scene.land()
    scene.wait(_OUTAGE)
    catalog.write_text(kept, "utf-8")
    scene.repaired("the catalog answers again")


def _backlog(scene: Scene) -> None:
    scene.fault("a day of files arrives at once")
    for _ in range(4):
        scene.land()


def _fails_on(scene: Scene) -> None:
    offsets = checkpoint(scene, "alerts") / "offsets"
    scene.fault(f"the checkpoint of alerts cannot be written, for {_FAILURES} attempts", "alerts")
    with blocked(offsets):
        scene.land()
        until_failed_again(scene, _FAILURES, 400)
    scene.repaired("the checkpoint can be written again")


def _no_clock(_: Shape) -> str:
    return "a clock that goes back needs a clock of its own for each process, which this machine does not have"


INCIDENTS = (
    incident(
        "catalog-unavailable",
        _GROUP,
        "The catalog is unavailable for 27 seconds",
        "The metastore has a short outage, as in the article's follow-up. A task is retried within it.",
        "the local catalog answers with an error for 27 s; kill -9 of a task at its begin",
        _no_catalog,
        "Running batches go on, because they do not ask the catalog. The retry waits or fails, then all is complete.",
        note="The local catalog is a file: this is an outage of that file, not of a real catalog.",
    ),
    incident(
        "backlog",
        _GROUP,
        "A day's backlog at once",
        "A gateway was offline for a day and delivers all its files together.",
        "four sets of files, a day of readings, in the same second",
        _backlog,
        warm=False,
    ),
    incident(
        "clock-back",
        _GROUP,
        "The clock jumps back",
        "A time server corrects the clock of the driver by an hour.",
        "nothing",
        lambda scene: None,
        not_shown=_no_clock,
    ),
    incident(
        "fails-for-ever",
        _GROUP,
        "A task fails again and again",
        "One stream's checkpoint cannot be written for a long time. The task fails at each attempt, until retries end.",
        "a file takes the place of the folder `offsets` of `alerts` until six attempts have failed",
        _fails_on,
        "Nothing is lost. Streams of other tasks are as fast as before where the shape isolates them.",
    ),
)
