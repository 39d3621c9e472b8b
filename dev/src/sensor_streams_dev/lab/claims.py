"""Claims about job shapes, and what the cells say of each: confirmed, refuted, or not shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from dabs_lab.lab.results import Cell, Claim, Evidence, Results, Verdict
from sensor_streams.streams import STREAMS

_SERIES = "article series on streaming failure models"
# A stream that is away for longer than this was hit by the fault of another task.
_HARMED_SECONDS = 5.0

# Returns True for confirmed, False for refuted, None for not shown, and the figure in words.
Judge = Callable[[Cell], tuple[bool | None, str]]


@dataclass(frozen=True)
class _Claim:
    id: str
    claim: str
    source: str
    # Incident and shape of each cell that may decide it.
    cells: Sequence[tuple[str, str]]
    judge: Judge
    note: str = ""


def with_claims(results: Results) -> Results:
    """Return the results with the verdict on each claim."""
    return results.model_copy(update={"claims": [*(_judged(one, results) for one in CLAIMS), _memory(results)]})


def _judged(claim: _Claim, results: Results) -> Claim:
    evidence, verdicts = [], []
    for incident, shape in claim.cells:
        for cell in results.find(incident, shape):
            if cell.verdict == Verdict.NOT_SHOWN:
                continue
            confirmed, figure = claim.judge(cell)
            if confirmed is not None:
                verdicts.append(confirmed)
                evidence.append(Evidence(incident=incident, shape=shape, seed=cell.seed, figure=figure))
    verdict = Verdict.NOT_SHOWN if not verdicts else Verdict.CONFIRMED if all(verdicts) else Verdict.REFUTED
    return Claim(
        id=claim.id, claim=claim.claim, source=claim.source, verdict=verdict, evidence=evidence, note=claim.note
    )


def _silent(cell: Cell) -> tuple[bool | None, str]:
    figures = cell.figures
    if figures.detection_seconds is None:
        # Without a silent second, no stream was dead.
        return bool(figures.silent_seconds) or None, f"never reported; {figures.silent_seconds:.0f} s silent"
    return figures.silent_seconds > _HARMED_SECONDS, f"reported after {figures.detection_seconds:.1f} s"


def _harmed(cell: Cell, task: str) -> dict[str, float]:
    own = {stream.name for stream in STREAMS if stream.task == task}
    return {name: one.seconds for name, one in cell.figures.collateral.items() if name in own}


def _other_task_harmed(cell: Cell) -> tuple[bool | None, str]:
    harmed = _harmed(cell, "inference")
    worst = max(harmed.values(), default=0.0)
    return worst > _HARMED_SECONDS, f"{len(harmed)} streams of the other task were away, for up to {worst:.0f} s"


def _isolated(cell: Cell) -> tuple[bool | None, str]:
    harmed, figure = _other_task_harmed(cell)
    return not harmed, figure


def _features_harmed(cell: Cell) -> tuple[bool | None, str]:
    worst = max(_harmed(cell, "feature_extraction").values(), default=0.0)
    return worst > _HARMED_SECONDS, f"streams of the healthy task were away for up to {worst:.0f} s"


def _restarted(cell: Cell) -> tuple[bool | None, str]:
    runs, attempts = cell.figures.runs, cell.figures.attempts
    # A person who starts the job again makes a run too.
    return None if cell.figures.person else runs > 1, f"{attempts} attempts in {runs} runs"


def _by_itself(cell: Cell) -> tuple[bool | None, str]:
    figures = cell.figures
    if figures.recovery_seconds is None:
        return False, "not complete at the end"
    person = f", and a person: {figures.person}" if figures.person else ", without a person"
    return (
        cell.verdict == Verdict.HELD and not figures.person,
        f"complete after {figures.recovery_seconds:.0f} s{person}",
    )


def _stays_dead(cell: Cell) -> tuple[bool | None, str]:
    person = cell.figures.person
    return bool(person), f"recovered by a person: {person}" if person else "recovered by itself"


CLAIMS = (
    _Claim(
        "silent-without-supervision",
        "If one task awaits its queries in order, the failure of one query is silent.",
        f"{_SERIES}, part 1",
        [("query-fails", "awaits_in_order"), ("query-ends", "awaits_in_order")],
        _silent,
        "With the supervisor, the same incident in `single_task` ends the task at once.",
    ),
    _Claim(
        "shared-fate",
        "Tasks that share a driver share its fate.",
        f"{_SERIES}, part 2",
        [("driver-killed", "endless_on_failure"), ("driver-killed", "endless_never")],
        _other_task_harmed,
    ),
    _Claim(
        "retries-destabilise",
        "A task that fails again and again destabilises a healthy one on the same driver.",
        f"{_SERIES}, part 2",
        [("fails-for-ever", "endless_on_failure")],
        _features_harmed,
        "The platform cancels the whole run when the retries of one task are used up.",
    ),
    _Claim(
        "sequential-retries",
        "Tasks that run one after the other make retries sound: a retry disturbs no other task.",
        f"{_SERIES}, part 2",
        [("query-fails", "shared_cluster"), ("python-killed", "shared_cluster")],
        _by_itself,
    ),
    _Claim(
        "used-up-retries",
        "When the retries of a continuous job are used up, the run ends with an error and a new one starts.",
        f"{_SERIES}, part 2",
        [("fails-for-ever", "single_task"), ("fails-for-ever", "endless_on_failure")],
        _restarted,
    ),
    _Claim(
        "never-stays-dead",
        "With `task_retry_mode: NEVER` a failed task stays dead next to a live one.",
        "platform facts: all tasks must fail before the job is retried",
        [("query-fails", "endless_never")],
        _stays_dead,
    ),
    _Claim(
        "cluster-isolates",
        "One cluster per task isolates: the loss of one driver does not touch the other task.",
        f"{_SERIES}, part 3",
        [("driver-killed", "cluster_per_task")],
        _isolated,
    ),
    _Claim(
        "bounded-runs-ride-out",
        "Bounded runs ride out 27 seconds without a catalog.",
        "the author's article on an outage of the metastore",
        [("catalog-unavailable", "shared_cluster")],
        _by_itself,
        "The local catalog is a file; the outage is one of that file.",
    ),
)


def _memory(results: Results) -> Claim:
    """Return the claim on memory, which compares all cells of two shapes."""
    peaks = {
        shape: [cell.figures.peak_mb for cell in results.cells if cell.shape == shape and cell.figures.peak_mb]
        for shape in ("single_task", "cluster_per_task")
    }
    claim = Claim(
        id="processes-cost",
        claim="Several processes and clusters cost memory.",
        source=f"{_SERIES}, part 2",
        verdict=Verdict.NOT_SHOWN,
    )
    if not all(peaks.values()):
        return claim
    one, two = (median(values) for values in peaks.values())
    first = {shape: next(c for c in results.cells if c.shape == shape and c.figures.peak_mb) for shape in peaks}
    evidence = [
        Evidence(
            incident=cell.incident, shape=shape, seed=cell.seed, figure=f"median peak {median(peaks[shape]):,.0f} MB"
        )
        for shape, cell in first.items()
    ]
    verdict = Verdict.CONFIRMED if two > one else Verdict.REFUTED
    return claim.model_copy(update={"verdict": verdict, "evidence": evidence})
