"""Differences of two results are reported beyond the noise of the seeds, and no others."""

import io
import json
from collections.abc import Sequence

import pytest
from rich.console import Console

from dabs_lab.lab.diff import ABSENT, Differences, differences, print_differences
from dabs_lab.lab.results import Cell, Figures, Results, Verdict
from dev.tests.lab.made_up_results import made_up_results

_BASE = made_up_results(incidents=1, seeds=1)


def _results(*figures: Figures, verdicts: Sequence[Verdict] = (), time_scale: float = 1) -> Results:
    """Return results of one place with a seed per figures."""
    cells = [
        Cell(
            incident="hang",
            shape="single_task",
            seed=seed,
            verdict=verdicts[seed] if verdicts else Verdict.HELD,
            seconds=60,
            figures=one,
        )
        for seed, one in enumerate(figures)
    ]
    machine = _BASE.machine.model_copy(update={"time_scale": time_scale})
    return _BASE.model_copy(update={"cells": cells, "machine": machine})


def _silent(*seconds: float) -> Results:
    return _results(*(Figures(silent_seconds=one, detection_seconds=1) for one in seconds))


def _figures(found: Differences) -> list[str]:
    return [record.figure for record in found.records]


def test_a_result_does_not_differ_from_itself() -> None:
    results = made_up_results()
    assert differences(results, results) == Differences(notes=[], records=[])


@pytest.mark.parametrize(
    ("before", "after", "reported"),
    [
        # One seed each: more than 50 % and 2 s.
        ([1.0], [2.9], False),
        ([1.0], [3.1], True),
        ([20.0], [29.0], False),
        ([20.0], [31.0], True),
        # Several seeds each: more than the wider spread.
        ([10.0, 14.0], [13.0, 17.0], False),
        ([10.0, 14.0], [17.0, 18.0], False),
        ([10.0, 14.0], [19.0, 20.0], True),
        ([10.0, 10.0], [10.3, 10.3], False),
        ([10.0, 10.0], [10.6, 10.6], True),
        # Several seeds in one result only: the thresholds of one seed.
        ([10.0, 10.1], [11.0], False),
        ([10.0, 10.1], [16.0], True),
    ],
)
def test_seconds_differ_beyond_noise_in_both_directions(
    before: list[float], after: list[float], reported: bool
) -> None:
    there, back = (
        differences(_silent(*before), _silent(*after)),
        differences(_silent(*after), _silent(*before)),
    )
    expected = ["silent_seconds"] if reported else []
    assert _figures(there) == _figures(back) == expected
    if reported:
        assert there.records[0].worse
        assert not back.records[0].worse


def test_any_change_of_a_count_is_reported_with_one_seed() -> None:
    found = differences(_results(Figures(attempts=2)), _results(Figures(attempts=3)))
    assert [(record.figure, record.worse) for record in found.records] == [("attempts", None)]


def test_a_count_within_the_range_of_the_seeds_is_noise() -> None:
    two = [Figures(attempts=2), Figures(attempts=4)]
    assert _figures(differences(_results(*two), _results(Figures(attempts=3)))) == []
    assert _figures(differences(_results(*two), _results(Figures(attempts=5)))) == ["attempts"]


def test_a_loss_with_one_of_the_seeds_is_reported() -> None:
    none, one = [Figures(), Figures()], [Figures(), Figures(rows_lost=1)]
    found = differences(_results(*none), _results(*one))
    # With a loss and no recovery, the recovery of this seed differs in kind, of the other it does not.
    assert _figures(found) == ["rows_lost"]
    assert found.records[0].worse


def test_a_recovery_that_never_comes_is_reported() -> None:
    found = differences(_results(Figures(recovery_seconds=9)), _results(Figures(rows_lost=3)))
    recovery = next(record for record in found.records if record.figure == "recovery_seconds")
    assert (recovery.before, recovery.after, recovery.worse) == ([9.0], ["never"], True)


def test_another_worst_verdict_is_always_reported() -> None:
    held, mixed = [Verdict.HELD, Verdict.HELD], [Verdict.HELD, Verdict.BROKEN]
    found = differences(_results(Figures(), Figures(), verdicts=held), _results(Figures(), Figures(), verdicts=mixed))
    assert [(r.figure, r.before, r.after, r.worse) for r in found.records] == [("verdict", ["held"], ["broken"], True)]


def test_a_cell_that_is_no_longer_shown_is_one_difference() -> None:
    found = differences(_silent(30.0), _results(Figures(), verdicts=[Verdict.NOT_SHOWN]))
    assert _figures(found) == ["verdict"]


def test_a_cell_in_one_result_only_is_reported_once() -> None:
    found = differences(_results(), _silent(30.0))
    assert [(record.before, record.after) for record in found.records] == [([ABSENT], ["held"])]
    back = differences(_silent(30.0), _results())
    assert [(record.before, record.after) for record in back.records] == [(["held"], [ABSENT])]


def test_a_person_that_is_needed_in_one_result_is_reported() -> None:
    found = differences(_results(Figures()), _results(Figures(person="copy the file back")))
    assert [(record.figure, record.worse) for record in found.records] == [("person", True)]


def test_another_time_scale_is_noted() -> None:
    found = differences(_results(Figures()), _results(Figures(), time_scale=0.1))
    assert len(found.notes) == 1
    assert "time scale" in found.notes[0]
    assert not found.records


def test_a_shift_of_all_broken_cells_is_found_in_each_of_them() -> None:
    before, after = made_up_results(seeds=2), made_up_results(seeds=2, shift=40)
    late = {(r.incident, r.shape) for r in differences(before, after).records if r.figure == "silent_seconds"}
    # A cell that stays silent to its end has a silent time without a shift.
    shifted = {
        (incident.id, shape.id)
        for incident in before.incidents
        for shape in before.shapes
        if all(
            c.verdict is Verdict.BROKEN and c.figures.detection_seconds is not None
            for c in before.find(incident.id, shape.id)
        )
    }
    assert shifted
    assert late == shifted


def test_differences_are_printed_and_are_json() -> None:
    found = differences(_silent(1.0), _silent(30.0))
    output = io.StringIO()
    print_differences(found, Console(file=output, width=160))
    assert all(word in output.getvalue() for word in ("hang", "single_task", "silent_seconds", "30", "worse", "50%"))
    assert json.loads(json.dumps(found.as_dict())) == found.as_dict()
    none = io.StringIO()
    print_differences(differences(_silent(1.0), _silent(1.0)), Console(file=none))
    assert none.getvalue() == "no difference beyond noise\n"
