"""Results that look like those of a lab, for tests of the report and of differences. Nothing of them was measured."""

import random
from collections.abc import Sequence

from dabs_lab.lab.results import (
    Bar,
    Cell,
    Claim,
    Damage,
    Evidence,
    Figures,
    IncidentText,
    Lane,
    LaneKind,
    Machine,
    Mark,
    MarkKind,
    Notification,
    Results,
    ShapeText,
    State,
    Verdict,
)

ODD = 'one "query" raises </script><b>in</b> a batch & nobody <!-- sees it'
STREAMS = (
    "readings",
    "sensor_features",
    "device_features",
    "device_sessions",
    "anomaly_scores",
    "remaining_life",
    "alerts",
    "alert_events",
)
_SHAPES = (
    ("single_task", "One task, all streams", "One continuous task with all streams, supervised.", 0.1),
    ("shared_cluster", "Two tasks, one cluster", "Two tasks, one after the other, until the input is drained.", 0.15),
    ("cluster_per_task", "One cluster per task", "Two continuous tasks with a cluster each.", 0.05),
    ("awaits_in_turn", "One task that awaits its queries one after the other", "No supervision.", 0.9),
    ("endless_never", "Two endless tasks, no retry", "Shared cluster, task_retry_mode NEVER.", 0.6),
    ("endless_on_failure", "Two endless tasks, ON_FAILURE", "Shared cluster, task_retry_mode ON_FAILURE.", 0.4),
    ("two_jobs", "Two jobs", "Two jobs with one task each.", 0.3),
)
_INCIDENTS = (
    ("Query failures", "One query raises in a batch", "a batch of device_features raises"),
    ("Query failures", "A query hangs", "a batch of alerts never returns"),
    ("Query failures", "A query ends without an error", "the query is stopped from outside"),
    ("Query failures", ODD, "an unexpected record"),
    ("Tables", "A MERGE whose target table was moved, with nothing at the old location", "the table is moved"),
    ("Tables", "A second writer on the alerts table", "another process appends"),
    ("Tables", "A table file is lost", "a file of the table is deleted"),
    ("Processes", "Python process kill -9", "SIGKILL to the Python process"),
    ("Processes", "Driver out of heap", "the heap of the driver is filled"),
    ("State", "Checkpoint lost", "the folder of the checkpoint is deleted"),
    ("State", "Alias moved to a broken model", "the alias points to a model that raises"),
    ("Surroundings", "Catalog unavailable for 27 s", "the catalog server is stopped"),
)
# Incidents that this machine cannot show in most shapes, that need a person, and whose seeds differ in kind.
_NOT_SHOWN, _PERSON, _FLAKY = 11, 9, 2


def made_up_results(incidents: int = 12, seeds: int = 2, shift: float = 0) -> Results:
    """Return results of incidents × 7 shapes × seeds; shift: seconds that are added to each silent time."""
    texts = [_incident(number) for number in range(incidents)]
    cells = [
        _cell(text.id, number, shape, bad, seed, shift)
        for number, text in enumerate(texts)
        for shape, _, _, bad in _SHAPES
        for seed in range(1, seeds + 1)
    ]
    # Deployable shapes come last, so that the report has to sort them.
    shapes = [ShapeText(id=i, title=t, about=a, deployable=n < 3) for n, (i, t, a, _) in enumerate(_SHAPES)]
    return Results(
        made_at="2026-11-28T01:20:00Z",
        commit="624d94d",
        machine=Machine(
            cores=2,
            memory_gb=7.8,
            system="Linux 6.1, Debian 12",
            versions={"Python": "3.11.7", "Spark": "4.1.4", "Delta": "4.4.0", "Java": "17.0.15"},
            load=0.42,
            time_scale=0.1,
        ),
        shapes=[*shapes[3:], *shapes[:3]],
        incidents=texts,
        cells=cells,
        claims=_claims(cells),
    )


def _incident(number: int) -> IncidentText:
    group, title, injected = _INCIDENTS[number % len(_INCIDENTS)]
    again = number // len(_INCIDENTS)
    return IncidentText(
        id=f"{injected.replace(' ', '_')}{again or ''}",
        group=group,
        title=f"{title} ({again + 1})" if again else title,
        story="On a Friday evening one of eight streams failed in production. "
        "The job was green until Monday, when a customer asked for the alerts.",
        injected=injected,
        must_hold="The task fails within 2 s, and after the retry each table is complete.",
        note="Open-source Delta knows Serializable only; the platform's default is WriteSerializable."
        if number % 5 == 4
        else "",
    )


def _cell(incident: str, number: int, shape: str, bad: float, seed: int, shift: float) -> Cell:
    rng = random.Random(f"{incident} {shape} {seed}")
    if number % 12 == _NOT_SHOWN and shape != "single_task":
        note = "This machine has no catalog server that can be stopped."
        return Cell(incident=incident, shape=shape, seed=seed, verdict=Verdict.NOT_SHOWN, note=note, seconds=0)
    # In most incidents the verdict is the same for each seed, so that only figures differ.
    broken = random.Random(f"{incident} {shape} {seed if number % 12 == _FLAKY else ''}").random() < bad
    end, fault = round(rng.uniform(50, 75), 2), round(rng.uniform(14, 18), 2)
    known = round(rng.uniform(0.3, 1.8), 2)
    silent = round(rng.uniform(18, 30) + shift, 2) if broken else known
    lost = rng.randint(1, 400) if broken else 0
    never = broken and not number % 3
    noticed = end if never else fault + silent
    recovered = None if never or lost else round(min(end, noticed + rng.uniform(8, 14)), 2)
    lanes = _lanes(shape, fault, noticed, end, STREAMS[number % 8], number % 2 == 0)
    sent = () if never else _notifications(noticed, 1 + seed % 2)
    person = "copy the file back from the archive" if number == _PERSON else ""
    return Cell(
        incident=incident,
        shape=shape,
        seed=seed,
        verdict=Verdict.BROKEN if broken else Verdict.HELD,
        broken=[f"{lost} rows of <i>{STREAMS[number % 8]}</i> are lost", "no detection within 2 s"] if broken else (),
        seconds=end,
        fault_at=fault,
        figures=Figures(
            detection_seconds=None if never else silent,
            silent_seconds=round(end - fault, 2) if never else silent,
            rows_lost=lost,
            rows_duplicated=rng.randint(1, 40) if broken and number % 4 == 1 else 0,
            alerts_wrong=rng.randint(1, 3) if broken and number % 4 == 2 else 0,
            recovery_seconds=None if recovered is None else round(recovered - fault, 2),
            person=person,
            batches_repeated=rng.randint(0, 3),
            attempts=rng.randint(1, 4),
            runs=1 + number % 2,
            peak_mb=round(rng.uniform(900, 2600), 1),
            processes=rng.randint(2, 5),
            collateral={"readings": Damage(seconds=silent / 2, rows=rng.randint(0, 90))},
            notifications=sent,
        ),
        lanes=lanes,
        marks=[
            Mark(at=fault, kind=MarkKind.FAULT, label=_INCIDENTS[number % len(_INCIDENTS)][2]),
            *([Mark(at=noticed + 4, kind=MarkKind.REPAIR, label=person)] if person and noticed + 4 < end else []),
            *(Mark(at=m.at, kind=MarkKind.NOTIFICATION, label=m.event) for m in sent),
            *([] if recovered is None else [Mark(at=recovered, kind=MarkKind.RECOVERED, label="tables complete")]),
        ],
    )


def _lanes(shape: str, fault: float, noticed: float, end: float, hit: str, hangs: bool) -> list[Lane]:
    """Return the lanes of a job whose stream `hit` is dead or stuck from the fault until the job notices it."""
    retry = min(end, noticed + 5)
    job = [Bar(begin=0, end=2.5, state=State.PENDING), Bar(begin=2.5, end=noticed, state=State.RUNNING)]
    task, true, streams = [*job[:1], Bar(begin=2.5, end=noticed, state=State.RUNNING, label="attempt 1")], [], []
    bad = State.STUCK if hangs else State.DEAD
    true += [Bar(begin=7, end=fault, state=State.WORKING), Bar(begin=fault, end=noticed, state=bad, label=hit)]
    if noticed < end:
        # The job reports the retry, then that it runs.
        job += [Bar(begin=noticed, end=retry, state=State.WAITING), Bar(begin=retry, end=end, state=State.RUNNING)]
        task += [Bar(begin=noticed, end=min(end, noticed + 1), state=State.FAILED)]
        task += [Bar(begin=min(end, noticed + 1), end=retry, state=State.WAITING)]
        task += [Bar(begin=retry, end=end, state=State.RUNNING, label="attempt 2")]
        true += [Bar(begin=noticed, end=retry, state=State.ENDED), Bar(begin=retry, end=end, state=State.WORKING)]
    for name in STREAMS:
        first = Bar(begin=7, end=fault if name == hit else noticed, state=State.WORKING)
        bars = [first, Bar(begin=fault, end=noticed, state=bad)] if name == hit else [first]
        bars += [Bar(begin=retry, end=end, state=State.WORKING)] if retry < end else []
        streams.append(Lane(kind=LaneKind.STREAM, title=name, bars=bars))
    tasks = ["streams"] if shape in ("single_task", "awaits_in_turn") else ["feature_extraction", "inference"]
    reported = ["features", "inference"] if shape == "two_jobs" else ["job"]
    return [
        *streams,
        *(Lane(kind=LaneKind.TASK, title=name, bars=task) for name in tasks),
        *(Lane(kind=LaneKind.TRUE, title=name, bars=true) for name in reported),
        *(Lane(kind=LaneKind.REPORTED, title=name, bars=job) for name in reported),
    ]


def _notifications(at: float, count: int) -> list[Notification]:
    return [
        Notification(
            at=round(at + number * 0.6, 2),
            event=f"attempt {number + 1} of feature_extraction ended: FAILED, is retried",
            setting="resources.jobs.streams.tasks[0].email_notifications.on_failure",
            recipients=["on-call@example.com", "#sensor-streams"],
        )
        for number in range(count)
    ]


def _claims(cells: Sequence[Cell]) -> list[Claim]:
    broken = next(cell for cell in cells if cell.verdict is Verdict.BROKEN)
    held = next(cell for cell in cells if cell.verdict is Verdict.HELD)
    found = [
        (Verdict.CONFIRMED, "The failure of one query is silent in a task without supervision.", [broken], ""),
        (Verdict.REFUTED, "A task that keeps retrying destabilises the others.", [held, broken], "Memory was flat."),
        (Verdict.NOT_SHOWN, "Bounded runs ride out 27 s of a missing catalog.", [], "No catalog server here."),
    ]
    return [
        Claim(
            id=f"claim_{number}",
            claim=claim,
            source="article 2, “One job, many streams”",
            verdict=verdict,
            note=note,
            evidence=[
                Evidence(
                    incident=cell.incident,
                    shape=cell.shape,
                    seed=cell.seed,
                    figure=f"silent for {cell.figures.silent_seconds:g} s",
                )
                for cell in shown
            ],
        )
        for number, (verdict, claim, shown, note) in enumerate(found)
    ]
