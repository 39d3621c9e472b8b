"""Conclusions of the lab follow from its cells: claims, the page on shapes, and the growth of a soak."""

from typing import Any

import pytest

from dabs_lab.lab.results import (
    Bar,
    Cell,
    Damage,
    Figures,
    IncidentText,
    Lane,
    LaneKind,
    Machine,
    Results,
    State,
    Verdict,
)
from sensor_streams_dev.lab.choosing import page
from sensor_streams_dev.lab.claims import CLAIMS, with_claims
from sensor_streams_dev.lab.incidents import INCIDENTS
from sensor_streams_dev.lab.shapes import SHAPES
from sensor_streams_dev.lab.soak import Sample, growth
from sensor_streams_dev.lab.unprotected import Unprotected

_MACHINE = Machine(cores=2, memory_gb=8, system="Linux", versions={}, load=0, time_scale=1 / 30)


def cell(incident: str, shape: str, verdict: Verdict = Verdict.HELD, seed: int = 1, **more: Any) -> Cell:
    lanes = more.pop("lanes", ())
    return Cell(
        incident=incident, shape=shape, seed=seed, verdict=verdict, seconds=90, figures=Figures(**more), lanes=lanes
    )


def results(*cells: Cell) -> Results:
    text = IncidentText(id=cells[0].incident, group="g", title="t", story="s", injected="i", must_hold="m")
    shapes = [shape.text for shape in SHAPES]
    return Results(made_at="2026-11-28", machine=_MACHINE, shapes=shapes, incidents=[text], cells=cells)


def verdict(claim: str, *cells: Cell) -> Verdict:
    (found,) = (one for one in with_claims(results(*cells)).claims if one.id == claim)
    return found.verdict


def test_each_claim_names_incidents_and_shapes_of_the_lab() -> None:
    incidents, shapes = {one.id for one in INCIDENTS}, {one.id for one in SHAPES}
    named = {pair for claim in CLAIMS for pair in claim.cells}
    assert {incident for incident, _ in named} <= incidents
    assert {shape for _, shape in named} <= shapes


def test_a_failure_that_is_never_reported_is_silent_and_a_cell_without_a_dead_stream_shows_nothing() -> None:
    claim = "silent-without-supervision"
    assert verdict(claim, cell("query-fails", "awaits_in_order", silent_seconds=40)) == Verdict.CONFIRMED
    assert verdict(claim, cell("query-fails", "awaits_in_order", detection_seconds=1)) == Verdict.REFUTED
    assert verdict(claim, cell("query-fails", "awaits_in_order")) == Verdict.NOT_SHOWN


def test_only_streams_of_the_other_task_prove_shared_fate() -> None:
    away = {"anomaly_scores": Damage(seconds=30, rows=0)}
    assert verdict("shared-fate", cell("driver-killed", "endless_never", collateral=away)) == Verdict.CONFIRMED
    own = {"sensor_features": Damage(seconds=30, rows=0)}
    assert verdict("shared-fate", cell("driver-killed", "endless_never", collateral=own)) == Verdict.REFUTED


def test_runs_that_a_person_started_prove_nothing_about_used_up_retries() -> None:
    assert verdict("used-up-retries", cell("fails-for-ever", "single_task", runs=2)) == Verdict.CONFIRMED
    assert verdict("used-up-retries", cell("fails-for-ever", "single_task", runs=2, person="x")) == Verdict.NOT_SHOWN


def _lane(kind: LaneKind, *bars: tuple[float, float, State]) -> Lane:
    return Lane(kind=kind, title="x", bars=[Bar(begin=b, end=e, state=s) for b, e, s in bars])


def test_the_page_counts_whole_runs_and_starts_from_the_start_of_the_run() -> None:
    # A scheduled run begins at 10, fails, and the next one succeeds; a third is cut by the end of the cell.
    reported = _lane(
        LaneKind.REPORTED,
        (10, 12, State.PENDING),
        (12, 15, State.RUNNING),
        (15, 20, State.FAILED),
        (20, 45, State.RUNNING),
        (45, 50, State.ENDED),
        (50, 51, State.RUNNING),
    )
    stream = _lane(LaneKind.STREAM, (14, 15, State.WORKING))
    text = page(results(cell("query-fails", "shared_cluster", lanes=[reported, stream])))
    assert "| from the start of the job to its first query | – | 4 s (1) | – |" in text
    assert "| always | 25 s of each 15 minutes | always |" in text


def test_the_page_shows_the_worst_seed_that_was_shown() -> None:
    cells = [
        cell("query-fails", "single_task", Verdict.NOT_SHOWN, 1),
        cell("query-fails", "single_task", Verdict.HELD, 2, recovery_seconds=8),
        cell("query-fails", "single_task", Verdict.HELD, 3, recovery_seconds=20),
    ]
    assert "| t | held, –, 20 | – | – |" in page(results(*cells))


def test_the_page_says_what_the_lab_reports_without_each_protection() -> None:
    one = results(cell("backlog", "single_task"))
    found = Unprotected("backlog", "late-rows", "A row counts.", "It is dropped.", "broken", ["3 rows lost"])
    assert "| A row counts. | It is dropped. | backlog | 3 rows lost |" in page(one, [found])
    assert "What each protection saves" not in page(one)


@pytest.mark.parametrize(("threads", "factor"), [([5, 10, 10, 20], 2.0), ([9], 1.0)])
def test_growth_compares_the_end_with_the_time_after_the_start(threads: list[int], factor: float) -> None:
    samples = [Sample(1, 1, 1, 1, 1, number, 1, 1) for number in threads]
    assert growth(samples, "threads") == pytest.approx(factor)
