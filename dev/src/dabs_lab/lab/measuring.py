"""Measurements of a cell, from its events and from what was true."""

from collections.abc import Mapping, Sequence

from dabs_lab.lab.declarations import Incident, Loss
from dabs_lab.lab.results import Damage, Figures, Lane, LaneKind, Notification, State
from dabs_lab.lab.scene import Scene
from dabs_lab.lab.timeline import (
    reported_lane,
    seconds_where,
    skipped_runs,
    state_at,
    stream_lanes,
    task_lanes,
    true_lane,
)

# Promise of the deployable shapes: seconds from the moment that the process can know.
DETECTION_SECONDS = 2.0
# A state and the notification of it are seen by different means, up to this far apart.
_SAME_MOMENT = 2.0
_BAD = (State.DEAD, State.STUCK)
# Kinds of events that show a person in the UI that something happened.
_VISIBLE = ("attempt", "task", "run", "cluster")
_FAILED = ("FAILED", "TIMEDOUT", "CANCELED")


def lanes_of(scene: Scene, end: float) -> list[Lane]:
    """Return all lanes of a cell, from top to bottom."""
    several = len(scene.shape.jobs) > 1
    reported, tasks = [], []
    for key in scene.shape.jobs:
        # A person may have started the job again.
        events = [one for job in scene.jobs if job.job == key for one in job.events]
        reported.append(reported_lane(events, scene.started, end, f"job {key}" if several else "job"))
        tasks += task_lanes(events, scene.started, end)
    streams = stream_lanes(scene.watch.changes, scene.started, end)
    return [*reported, true_lane(streams, end), *tasks, *streams]


def figures_of(
    scene: Scene, incident: Incident, lanes: Sequence[Lane], loss: Loss, complete_at: float | None, end: float
) -> Figures:
    """Return the measurements of a cell. complete_at: seconds at which all tables were complete after the fault."""
    fault = None if scene.fault_at is None else scene.fault_at - scene.started
    notes = [note for note in notifications(scene) if note.at <= end]
    return Figures(
        detection_seconds=None if fault is None else detection(scene, lanes, fault, incident.known_after),
        silent_seconds=round(silent_seconds(scene, lanes, notes, end), 2),
        rows_lost=loss.lost,
        rows_duplicated=loss.duplicated,
        rows_wrong=loss.wrong,
        alerts_wrong=loss.alerts_wrong,
        lines_unaccounted=loss.unaccounted,
        recovery_seconds=None if fault is None or complete_at is None else round(max(0.0, complete_at - fault), 2),
        person=scene.person,
        batches_repeated=scene.watch.repeated,
        attempts=len(
            {one.data["attempt"] for job in scene.jobs for one in job.find("attempt") if one.at - scene.started <= end}
        ),
        runs=sum(len({one.data["run"] for one in job.find("run")} - skipped_runs(job.events)) for job in scene.jobs),
        peak_mb=round(scene.watch.peak_mb),
        processes=scene.watch.processes,
        collateral={} if fault is None else collateral(scene, lanes, loss, fault, complete_at or end),
        notifications=notes,
    )


def knowable_at(lanes: Sequence[Lane], fault: float) -> float | None:
    """Return when the first stream was dead or stuck after the fault, in seconds; None if all went on."""
    begins = [
        bar.begin
        for lane in lanes
        if lane.kind == LaneKind.STREAM
        for bar in lane.bars
        if bar.state in _BAD and bar.end > fault
    ]
    return max(min(begins), fault) if begins else None


def detection(scene: Scene, lanes: Sequence[Lane], fault: float, known_after: float = 0.0) -> float | None:
    """Return the seconds from the moment that the process can know to the first failure that the job shows."""
    known = knowable_at(lanes, fault)
    if known is None:
        return None
    shown = [
        one.at - scene.started
        for job in scene.jobs
        for one in job.events
        if one.kind in _VISIBLE
        and one.at - scene.started > fault
        and (one.data.get("result") in _FAILED or one.data.get("state") in ("LOST", "WAITING"))
    ]
    return round(max(0.0, min(shown) - known - known_after), 2) if shown else None


def silent_seconds(scene: Scene, lanes: Sequence[Lane], notes: Sequence[Notification], end: float) -> float:
    """Return for how long a job reports RUNNING while a stream of it is dead or stuck and nobody was notified."""
    total = 0.0
    several = len(scene.shape.jobs) > 1
    for lane in lanes:
        if lane.kind != LaneKind.REPORTED:
            continue
        key = lane.title.removeprefix("job ") if several else scene.shape.jobs[0]
        own = [one for one in lanes if one.kind == LaneKind.STREAM and scene.watch.owners.get(one.title, key) == key]

        def silent(moment: float, lane: Lane = lane, own: Sequence[Lane] = own) -> bool:
            if state_at(lane, moment) != State.RUNNING:
                return False
            bad = [bar for one in own for bar in one.bars if bar.state in _BAD and bar.begin <= moment < bar.end]
            # A notification counts for everything that was wrong when it was sent.
            return any(not any(bar.begin - _SAME_MOMENT <= note.at <= moment for note in notes) for bar in bad)

        total += seconds_where([lane, *own], end, silent)
    return total


def notifications(scene: Scene) -> list[Notification]:
    """Return the notifications that the platform would send: when, by which setting, to whom."""
    found = []
    for job in scene.jobs:
        for one in job.find("notification"):
            level = "task" if one.data.get("task") else "job"
            emails, webhooks = list(one.data.get("emails") or ()), list(one.data.get("webhooks") or ())
            kinds = " and ".join(
                [
                    *(["email_notifications"] if emails else []),
                    *(["webhook_notifications"] if webhooks else []),
                ]
            )
            found.append(
                Notification(
                    at=round(one.at - scene.started, 2),
                    event=str(one.data.get("about", "")),
                    setting=f"{kinds}.{one.data.get('kind')} of the {level}",
                    recipients=[*map(str, emails), *map(str, webhooks)],
                )
            )
    return sorted(found, key=lambda note: note.at)


def collateral(scene: Scene, lanes: Sequence[Lane], loss: Loss, fault: float, end: float) -> Mapping[str, Damage]:
    """Return what the fault cost the streams that it did not aim at, from the fault to the recovery."""
    found = {}
    for lane in lanes:
        if lane.kind != LaneKind.STREAM or not scene.hit or lane.title in scene.hit:
            continue
        idle = seconds_where(
            [lane],
            end,
            lambda moment, lane=lane: moment > fault and state_at(lane, moment) in (*_BAD, State.PENDING),  # type: ignore[misc]
        )
        rows = loss.by_table.get(lane.title, 0)
        if idle > 1 or rows:
            found[lane.title] = Damage(seconds=round(idle, 1), rows=rows)
    return found


def broken_promises(
    figures: Figures, loss: Loss, incident: Incident, known: float | None, recovered: bool
) -> list[str]:
    """Return in words each promise of the deployable shapes that did not hold."""
    tables = ", ".join(f"{table} {rows}" for table, rows in loss.by_table.items())
    where = f" ({tables})" if tables else ""
    found = [
        f"{count:,} {what}{where}"
        for count, what in (
            (figures.rows_lost, "rows lost"),
            (figures.rows_duplicated, "rows duplicated"),
            (figures.rows_wrong, "rows wrong"),
            (figures.alerts_wrong, "alerts wrong"),
            (figures.lines_unaccounted, "lines in no table"),
        )
        if count
    ]
    if known is not None and not incident.undetectable:
        if figures.detection_seconds is None:
            found.append("the job never reported it")
        elif figures.detection_seconds > DETECTION_SECONDS:
            found.append(f"the job reported it after {figures.detection_seconds:.1f} s")
    if not recovered:
        found.append("the tables were not complete again at the end")
    return found
