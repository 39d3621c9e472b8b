"""Timelines and figures of the lab are computed from events and from what was true."""

from typing import Any

import pytest

from dabs_lab.lab.job_process import Seen
from dabs_lab.lab.results import Bar, Lane, LaneKind, State
from dabs_lab.lab.scaling import scaled_assumptions, scaled_bundle
from dabs_lab.lab.timeline import (
    bars,
    reported_lane,
    seconds_where,
    state_at,
    stream_lanes,
    task_lanes,
    true_lane,
    without_skipped,
)
from dabs_lab.lab.watching import Change


def seen(at: float, kind: str, **data: Any) -> Seen:
    return Seen(100 + at, {"event": kind, **data})


def spans(lane: Lane) -> list[tuple[float, float, State, str]]:
    return [(bar.begin, bar.end, bar.state, bar.label) for bar in lane.bars]


def test_the_reported_lane_shows_the_states_of_runs_and_the_failure_between_two_runs() -> None:
    events = [
        seen(0, "run", state="PENDING"),
        seen(2, "run", state="RUNNING"),
        seen(3, "task", task="a", state="RUNNING"),
        seen(9, "run", state="TERMINATED", result="FAILED"),
        seen(12, "run", state="RUNNING"),
        seen(15, "run", state="TERMINATED", result="SUCCESS"),
    ]
    assert spans(reported_lane(events, 100, 20, "job")) == [
        (0, 2, State.PENDING, ""),
        (2, 9, State.RUNNING, ""),
        (9, 12, State.FAILED, ""),
        (12, 15, State.RUNNING, ""),
        (15, 20, State.ENDED, ""),
    ]


def test_a_skipped_run_hides_nothing_of_the_active_one() -> None:
    events = [
        seen(0, "run", run=1, state="RUNNING"),
        seen(5, "run", run=2, state="TERMINATED", result="MAXIMUM_CONCURRENT_RUNS_REACHED"),
    ]
    assert spans(reported_lane(without_skipped(events), 100, 9, "job")) == [(0, 9, State.RUNNING, "")]


def test_the_bars_of_a_task_name_its_attempts() -> None:
    events = [
        seen(0, "attempt", task="a", state="PENDING", number=1),
        seen(0, "task", task="a", state="RUNNING"),
        seen(4, "task", task="a", state="WAITING"),
        seen(6, "attempt", task="a", state="PENDING", number=2),
        seen(6, "task", task="a", state="RUNNING"),
    ]
    (lane,) = task_lanes(events, 100, 10)
    assert spans(lane) == [
        (0, 4, State.RUNNING, "attempt 1"),
        (4, 6, State.WAITING, "attempt 1"),
        (6, 10, State.RUNNING, "attempt 2"),
    ]


def test_what_is_true_of_all_streams_is_the_worst_state_of_one_and_names_it() -> None:
    changes = [
        Change(101, "a", State.WORKING),
        Change(101, "b", State.WORKING),
        Change(105, "b", State.DEAD),
        Change(107, "a", State.DEAD),
        Change(108, "a", State.WORKING),
        Change(108, "b", State.WORKING),
    ]
    lanes = stream_lanes(changes, 100, 10)
    true = true_lane(lanes, 10)
    assert true.kind == LaneKind.TRUE
    assert spans(true) == [
        (1, 5, State.WORKING, ""),
        (5, 7, State.DEAD, "b"),
        (7, 8, State.DEAD, "2 streams"),
        (8, 10, State.WORKING, ""),
    ]


def test_a_lane_has_no_state_in_a_gap() -> None:
    lane = Lane(kind=LaneKind.STREAM, title="a", bars=[Bar(begin=1, end=2, state=State.WORKING)])
    assert [state_at(lane, at) for at in (0.5, 1, 1.9, 2)] == [None, State.WORKING, State.WORKING, None]


def test_equal_states_in_a_row_are_one_bar() -> None:
    found = bars([(0, State.RUNNING, ""), (1, State.RUNNING, ""), (2, None, ""), (3, State.RUNNING, "")], 4)
    assert [(bar.begin, bar.end) for bar in found] == [(0, 2), (3, 4)]


def test_seconds_are_counted_where_two_lanes_contradict_each_other() -> None:
    reported = Lane(kind=LaneKind.REPORTED, title="job", bars=[Bar(begin=0, end=8, state=State.RUNNING)])
    stream = Lane(kind=LaneKind.STREAM, title="a", bars=[Bar(begin=5, end=10, state=State.DEAD)])

    def silent(moment: float) -> bool:
        return state_at(reported, moment) == State.RUNNING and state_at(stream, moment) == State.DEAD

    assert seconds_where([reported, stream], 10, silent) == pytest.approx(3)


def test_all_waits_of_a_job_are_scaled_and_nothing_else() -> None:
    job = {
        "name": "j",
        "trigger": {"periodic": {"interval": 15, "unit": "MINUTES"}, "pause_status": "PAUSED"},
        "tasks": [{"task_key": "t", "min_retry_interval_millis": 60000, "timeout_seconds": 3600, "max_retries": 3}],
    }
    found = scaled_bundle({"resources": {"jobs": {"j": job}}}, 1 / 30)["resources"]["jobs"]["j"]
    assert found == {
        "name": "j",
        "schedule": {"quartz_cron_expression": "0/30 * * * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"},
        "tasks": [{"task_key": "t", "min_retry_interval_millis": 2000, "timeout_seconds": 120, "max_retries": 3}],
    }


@pytest.mark.parametrize(
    ("cron", "scaled"), [("0 0/5 * * * ?", "0/10 * * * * ?"), ("0 0/30 * * * ?", "0 * * * * ?"), ("0 30 3 * * ?", None)]
)
def test_schedules_of_minutes_are_scaled_and_daily_ones_stay(cron: str, scaled: str | None) -> None:
    job = {"schedule": {"quartz_cron_expression": cron, "timezone_id": "UTC"}, "tasks": []}
    found = scaled_bundle({"resources": {"jobs": {"j": job}}}, 1 / 30)["resources"]["jobs"]["j"]
    assert found["schedule"]["quartz_cron_expression"] == (scaled or cron)


def test_scaled_assumptions_are_whole_seconds_that_local_yml_takes() -> None:
    from dabs_lab.jobs import assumptions_of

    found = assumptions_of(scaled_assumptions(1 / 30))
    assert found.run_backoff.first.total_seconds() == 1
    assert found.run_backoff.longest.total_seconds() == 120
    assert found.run_gap.total_seconds() == 1
