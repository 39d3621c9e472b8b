"""Measurements of a cell, from its events and from what was true."""

import math
from collections.abc import Mapping, Sequence

from dabs_lab.lab.declarations import Incident, Loss
from dabs_lab.lab.job_process import JobProcess
from dabs_lab.lab.results import Bar, Damage, Figures, Lane, LaneKind, Notification, State
from dabs_lab.lab.scene import Scene
from dabs_lab.lab.timeline import (
    reported_lane,
    seconds_where,
    state_at,
    stream_lanes,
    task_lanes,
    true_lane,
    without_skipped,
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
        events = [one for job in scene.jobs if job.job == key for one in without_skipped(job.events)]
        reported.append(reported_lane(events, scene.started, end, f"job {key}" if several else "job"))
        tasks += task_lanes(events, scene.started, end)
    streams = stream_lanes(scene.watch.changes, scene.started, end)
    if not several:
        return [*reported, true_lane(streams, end), *tasks, *streams]
    # Each job has a lane of what is true of its own streams, with the same title.
    true = [
        true_lane([one for one in streams if scene.watch.owners.get(one.title) == key], end, lane.title)
        for key, lane in zip(scene.shape.jobs, reported, strict=True)
    ]
    return [*reported, *true, *tasks, *streams]


def figures_of(
    scene: Scene, incident: Incident, lanes: Sequence[Lane], loss: Loss, complete_at: float | None, end: float
) -> Figures:
    """Return the measurements of a cell. complete_at: seconds at which all tables were complete after the fault."""
    fault = None if scene.fault_at is None else scene.fault_at - scene.started
    return Figures(
        detection_seconds=None if fault is None else detection(scene, lanes, fault, incident),
        silent_seconds=round(silent_seconds(scene, lanes, end), 2),
        rows_lost=loss.lost,
        rows_duplicated=loss.duplicated,
        rows_wrong=loss.wrong,
        alerts_wrong=loss.alerts_wrong,
        lines_unaccounted=loss.unaccounted,
        recovery_seconds=None if fault is None or complete_at is None else round(max(0.0, complete_at - fault), 2),
        person=scene.person,
        batches_repeated=scene.watch.repeated,
        attempts=_count(scene, "attempt", end),
        runs=_count(scene, "run", end),
        peak_mb=round(scene.watch.peak_mb),
        processes=scene.watch.processes,
        collateral={} if fault is None else collateral(scene, lanes, loss, fault, complete_at or end),
        notifications=[note for note in notifications(scene, scene.jobs) if note.at <= end],
    )


def _count(scene: Scene, kind: str, end: float) -> int:
    """Return the number of attempts or runs. Each process of a job counts its own from 1 on."""
    return sum(
        len(
            {
                one.data[kind]
                for one in without_skipped(job.events)
                if one.kind == kind and one.at - scene.started <= end
            }
        )
        for job in scene.jobs
    )


def knowable_at(lanes: Sequence[Lane], fault: float, incident: Incident) -> float | None:
    """Return when the process could know that a stream is dead or stuck, in seconds; None if all went on.

    A stream that was dead before did not die of the fault; a stuck one is in a batch that may have begun before it.
    """
    bars = [bar for lane in lanes if lane.kind == LaneKind.STREAM for bar in lane.bars]
    dead = [bar.begin for bar in bars if bar.state == State.DEAD and bar.begin >= fault]
    # A batch that ends in the time that it may take is not stuck.
    stuck = [
        bar.begin + incident.stuck_after
        for bar in bars
        if bar.state == State.STUCK and bar.end > max(fault, bar.begin + incident.stuck_after)
    ]
    return max(min([*dead, *stuck]), fault) + incident.known_after if dead or stuck else None


def detection(scene: Scene, lanes: Sequence[Lane], fault: float, incident: Incident) -> float | None:
    """Return the seconds from the moment that the process can know to the first failure that the job shows."""
    known = knowable_at(lanes, fault, incident)
    if known is None:
        return None
    shown = [
        one.at - scene.started
        for job in scene.jobs
        for one in job.events
        if one.kind in _VISIBLE
        and one.at - scene.started > fault
        # A person who stops the job cancels it: nothing has been detected by that.
        and (job.stopped_at is None or one.at < job.stopped_at)
        and (one.data.get("result") in _FAILED or one.data.get("state") in ("LOST", "WAITING"))
    ]
    return round(max(0.0, min(shown) - known), 2) if shown else None


def silent_seconds(scene: Scene, lanes: Sequence[Lane], end: float) -> float:
    """Return for how long a job reports RUNNING while a stream of it is dead or stuck and it has notified nobody."""
    total = 0.0
    several = len(scene.shape.jobs) > 1
    for lane in lanes:
        if lane.kind != LaneKind.REPORTED:
            continue
        key = lane.title.removeprefix("job ") if several else scene.shape.jobs[0]
        own = [one for one in lanes if one.kind == LaneKind.STREAM and scene.watch.owners.get(one.title, key) == key]
        jobs = [job for job in scene.jobs if job.job == key]
        # Spans of moments at which somebody learns of everything that has gone wrong until the end of the span.
        known = [(note.at, note.at + _SAME_MOMENT) for note in notifications(scene, jobs)] + _stops(scene, jobs)

        def silent(
            moment: float,
            lane: Lane = lane,
            own: Sequence[Lane] = own,
            known: Sequence[tuple[float, float]] = known,
        ) -> bool:
            if state_at(lane, moment) != State.RUNNING:
                return False
            bad = [bar for one in own for bar in one.bars if bar.state in _BAD and bar.begin <= moment < bar.end]
            return any(not any(at <= moment and bar.begin <= until for at, until in known) for bar in bad)

        # A notification ends the silence within a bar.
        total += seconds_where([lane, *own], end, silent, [at for at, _ in known])
    return total


def _stops(scene: Scene, jobs: Sequence[JobProcess]) -> list[tuple[float, float]]:
    """Return when a person stopped each job, and when the job began again: a person knows what a stop ends."""
    begins = [job.events[0].at - scene.started if job.events else math.inf for job in jobs[1:]]
    return [
        (job.stopped_at - scene.started, begin)
        for job, begin in zip(jobs, [*begins, math.inf], strict=True)
        if job.stopped_at is not None
    ]


def notifications(scene: Scene, jobs: Sequence[JobProcess]) -> list[Notification]:
    """Return the notifications that the platform would send for jobs: when, by which setting, to whom.

    Without those of a run that a person has stopped: they report to a person what a person did.
    """
    found = []
    for job in jobs:
        for one in job.find("notification"):
            if job.stopped_at is not None and one.at >= job.stopped_at:
                continue
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
    """Return what the fault cost the streams that it did not aim at, from the fault to the recovery.

    A stream is away while it is dead or stuck, and while it starts after that. Other starts are not a damage: each run
    of a job has them.
    """
    found = {}
    for lane in lanes:
        if lane.kind != LaneKind.STREAM or not scene.hit or lane.title in scene.hit:
            continue
        idle = sum(max(0.0, min(bar.end, end) - max(bar.begin, fault)) for bar in _away(lane))
        rows = loss.by_table.get(lane.title, 0)
        if idle > 1 or rows:
            found[lane.title] = Damage(seconds=round(idle, 1), rows=rows)
    return found


def _away(lane: Lane) -> list[Bar]:
    found: list[Bar] = []
    for bar in lane.bars:
        if bar.state in _BAD or (bar.state == State.PENDING and found and found[-1].end == bar.begin):
            found.append(bar)
    return found


def broken_promises(
    figures: Figures,
    loss: Loss,
    incident: Incident,
    known: float | None,
    own: Sequence[str],
    *,
    recovered: bool,
    restarted: bool,
) -> list[str]:
    """Return in words each promise of the deployable shapes that did not hold. own: those of the incident alone."""
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
    found += own
    if known is not None and not incident.undetectable:
        if figures.detection_seconds is None:
            found.append("the job never reported it")
        elif figures.detection_seconds > DETECTION_SECONDS:
            found.append(f"the job reported it after {figures.detection_seconds:.1f} s")
    if restarted:
        found.append("a person had to start the job again")
    if not recovered:
        found.append("the tables were not complete again at the end")
    return found
