"""Start of runs: by request, by schedule, continuous; concurrency, queue, growing pauses."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from databricks.sdk.service.jobs import TaskRetryMode

from dabs_lab.jobs.assumptions import Assumptions, Backoff
from dabs_lab.jobs.dynamic_values import UnknownReferenceError
from dabs_lab.jobs.events import Cancel, EventKind, RunEnded, RunNow, Stop, Tick
from dabs_lab.jobs.job_spec import ClusterSpec, Continuous, JobSpec, Schedule
from dabs_lab.jobs.quartz import parse_quartz
from dev.tests.jobs.simulation import START, Outcomes, Simulation, job, results, seconds, task, words

ASSUMED = Assumptions(
    single_task_retries=3,
    several_tasks_retries=2,
    task_backoff=Backoff(seconds(5), 2, seconds(60)),
    run_gap=seconds(10),
    tolerated_failures=1,
    run_backoff=Backoff(seconds(100), 2, seconds(300)),
    healthy_after=seconds(1000),
)
ON_FAILURE, NEVER = Continuous(TaskRetryMode.ON_FAILURE), Continuous(TaskRetryMode.NEVER)
OTHER = ClusterSpec("other")
BAD = (10, 1)


def every_five_minutes(paused: bool = False) -> Schedule:
    return Schedule(parse_quartz("0 0/5 * * * ?"), ZoneInfo("UTC"), paused)


def simulate(spec: JobSpec, outcomes: Outcomes, until: float, *, boot: float = 0) -> Simulation:
    simulation = Simulation(spec, outcomes, assumptions=ASSUMED, boot=boot)
    simulation.feed(Tick(START))
    return simulation.run(until)


def begins(simulation: Simulation) -> list[float | None]:
    return [(view.start - START).total_seconds() if view.start else None for view in simulation.runs]


def test_a_schedule_starts_runs_at_its_times() -> None:
    done = simulate(job(task("a"), schedule=every_five_minutes()), {"a": [(10, 0)]}, 901)
    assert begins(done) == [300, 600, 900]
    assert {view.trigger.value for view in done.runs} == {"PERIODIC"}


def test_no_run_starts_at_until_or_later_and_an_active_run_continues() -> None:
    spec = job(task("a"), schedule=every_five_minutes())
    simulation = Simulation(spec, {"a": [(200, 0)]}, until=START + seconds(600))
    assert not simulation.machine.finished
    simulation.run()
    assert begins(simulation) == [300]
    assert words(simulation.runs[0]) == "SUCCESS"
    assert simulation.now == START + seconds(500)
    assert simulation.machine.finished


def test_a_paused_job_runs_only_on_request() -> None:
    simulation = Simulation(job(task("a"), schedule=every_five_minutes(paused=True)), {"a": [(10, 0)]})
    assert simulation.machine.next_wakeup() is None
    assert simulation.machine.finished
    simulation.feed(RunNow(START + seconds(7)))
    simulation.run()
    assert begins(simulation) == [7]
    assert simulation.runs[0].trigger.value == "ONE_TIME"


def test_the_runner_may_unpause_a_job() -> None:
    simulation = Simulation(job(task("a"), schedule=every_five_minutes(paused=True)), {"a": [(10, 0)]}, paused=False)
    assert simulation.machine.next_wakeup() == START + seconds(300)


def test_a_run_over_the_concurrent_maximum_is_skipped() -> None:
    done = simulate(job(task("a"), schedule=every_five_minutes()), {"a": [(700, 0)]}, 1201)
    assert [words(view) for view in done.runs] == [
        "SUCCESS", "MAXIMUM_CONCURRENT_RUNS_REACHED", "MAXIMUM_CONCURRENT_RUNS_REACHED", "RUNNING"
    ]  # fmt: skip
    skipped = done.runs[1]
    assert (skipped.code and skipped.code.value, skipped.life_cycle.value) == (
        "MAX_CONCURRENT_RUNS_EXCEEDED",
        "SKIPPED",
    )
    assert begins(done) == [300, None, None, 1200]


def test_concurrent_runs_have_separate_clusters() -> None:
    done = simulate(job(task("a"), schedule=every_five_minutes(), max_concurrent_runs=2), {"a": [None]}, 901)
    assert [words(view) for view in done.runs] == ["RUNNING", "RUNNING", "MAXIMUM_CONCURRENT_RUNS_REACHED"]
    assert [cluster.id for view in done.runs for cluster in view.clusters] == ["1-main-1", "3-main-1"]


def test_a_concurrent_maximum_of_zero_skips_every_run() -> None:
    done = simulate(job(task("a"), schedule=every_five_minutes(), max_concurrent_runs=0, queue=True), {"a": [BAD]}, 301)
    assert [words(view) for view in done.runs] == ["MAXIMUM_CONCURRENT_RUNS_REACHED"]


def test_queued_runs_start_in_order() -> None:
    simulation = Simulation(job(task("a"), queue=True), {"a": [(100, 0)]})
    for second in (0, 10, 20):
        simulation.feed(RunNow(START + seconds(second)))
    assert [words(view) for view in simulation.runs] == ["RUNNING", "QUEUED", "QUEUED"]
    queued = [event.data.get("queue_reason") for event in simulation.events if event.data.get("state") == "QUEUED"]
    assert queued == ["MAX_CONCURRENT_RUNS_REACHED"] * 2
    simulation.run()
    assert begins(simulation) == [0, 100, 200]


def test_a_run_leaves_the_queue_after_its_limit() -> None:
    simulation = Simulation(job(task("a"), queue=True), {"a": [None]}, assumptions=Assumptions(queue_limit=seconds(50)))
    simulation.feed(RunNow(START))
    simulation.feed(RunNow(START + seconds(5)))
    simulation.run(55)
    assert [words(view) for view in simulation.runs] == ["RUNNING", "MAXIMUM_CONCURRENT_RUNS_REACHED"]
    assert "queue_limit" in simulation.assumed()


def test_scheduled_runs_are_at_least_ten_seconds_apart() -> None:
    schedule = Schedule(parse_quartz("0/4 * * * * ?"), ZoneInfo("UTC"))
    assert begins(simulate(job(task("a"), schedule=schedule), {"a": [(1, 0)]}, 40)) == [4, 16, 28, 40]


def test_missed_times_trigger_one_run() -> None:
    simulation = Simulation(job(task("a"), schedule=every_five_minutes()), {"a": [(10, 0)]})
    simulation.feed(Tick(START + timedelta(hours=2, seconds=1)))
    assert begins(simulation) == [7201]
    assert "missed_ticks" in simulation.assumed()
    assert simulation.machine.next_wakeup() == START + timedelta(hours=2, minutes=5)


def test_a_schedule_uses_the_time_zone_with_daylight_saving() -> None:
    schedule = Schedule(parse_quartz("0 30 2 * * ?"), ZoneInfo("Europe/Berlin"))
    simulation = Simulation(
        job(task("a"), schedule=schedule), {"a": [(1, 0)]}, start=datetime(2026, 3, 27, 12, tzinfo=UTC)
    )
    simulation.run(datetime(2026, 3, 31, tzinfo=UTC))
    # On the 29th, 02:30 does not occur.
    assert [str(view.start) for view in simulation.runs] == ["2026-03-28 01:30:00+00:00", "2026-03-30 00:30:00+00:00"]


def test_unknown_job_parameters_are_refused() -> None:
    simulation = Simulation(job(task("a"), parameters={"day": "today"}), {"a": [BAD]})
    with pytest.raises(UnknownReferenceError, match="no parameter dya: known are day"):
        simulation.feed(RunNow(START, {"dya": "x"}))
    with pytest.raises(UnknownReferenceError, match="job"):
        simulation.feed(RunNow(START, {"day": "{{job.naem}}"}))
    assert simulation.runs == ()


def test_a_continuous_job_starts_a_new_run_after_each_one() -> None:
    done = simulate(job(task("a"), continuous=NEVER), {"a": [(50, 0)]}, 130)
    assert begins(done) == [0, 60, 120]
    assert {view.trigger.value for view in done.runs} == {"CONTINUOUS"}
    assert "run_gap" in done.assumed()


def test_a_single_continuous_task_is_retried_three_times_before_its_run_is_replaced() -> None:
    done = simulate(job(task("a"), continuous=ON_FAILURE), {"a": [BAD]}, 86)
    # Pauses of 5, 10 and 20 s after attempts of 10 s each; 10 s to the next run.
    assert done.starts() == [0, 15, 35, 65, 85]
    first = done.runs[0]
    assert (words(first), first.code and first.code.value) == ("CANCELED", "CANCELED")
    assert results(done) == {"a": "FAILED"}
    assert words(done.runs[1]) == "RUNNING"
    assert [action.failed for _, action in done.done if isinstance(action, RunEnded)] == [True], "counts as failed"
    assert {"single_task_retries", "task_backoff"} <= done.assumed()


def test_without_task_retries_a_failed_task_fails_the_run() -> None:
    done = simulate(job(task("a"), continuous=NEVER), {"a": [BAD]}, 40)
    assert done.starts() == [0, 20]
    assert [words(view) for view in done.runs] == ["FAILED", "FAILED"]


def test_pauses_between_failing_runs_grow_up_to_the_longest() -> None:
    done = simulate(job(task("a"), continuous=NEVER), {"a": [BAD]}, 1500)
    # One failure is tolerated: 10 s; then 100, 200, 300, 300 s after runs of 10 s.
    assert begins(done) == [0, 20, 130, 340, 650, 960, 1270]
    assert {"run_backoff", "tolerated_failures"} <= done.assumed()


def test_a_long_run_resets_the_count_of_failures() -> None:
    lives = {1: 10, 2: 10, 3: 2000}
    done = simulate(job(task("a"), continuous=NEVER), lambda start: (lives.get((start.run + 1) // 2, 10), 1), 2200)
    # The third run resets the count, so the fourth starts after 10 s.
    assert begins(done) == [0, 20, 130, 2140]
    assert "healthy_after" in done.assumed()


def test_a_success_resets_the_count_of_failures() -> None:
    codes = {1: 1, 2: 1, 3: 0}
    done = simulate(job(task("a"), continuous=NEVER), lambda start: (10, codes.get((start.run + 1) // 2, 1)), 180)
    assert begins(done) == [0, 20, 130, 150, 170]


def test_mode_never_does_not_retry_a_failed_task_while_another_runs() -> None:
    done = simulate(job(task("a"), task("b", cluster=OTHER), continuous=NEVER), {"a": [BAD], "b": [None]}, 100_000)
    assert results(done) == {"a": "FAILED", "b": "RUNNING"}
    assert words(done.runs[0]) == "RUNNING"
    assert len(done.runs) == 1


def test_mode_never_starts_a_new_run_after_all_tasks_have_failed() -> None:
    done = simulate(job(task("a"), task("b"), continuous=NEVER), {"a": [BAD], "b": [(30, 1)]}, 45)
    assert begins(done) == [0, 40]


def test_a_failed_task_is_retried_while_another_is_in_its_first_attempt_up_to_the_limit() -> None:
    spec = job(task("a"), task("b", cluster=OTHER), continuous=ON_FAILURE)
    done = simulate(spec, {"a": [BAD], "b": [None]}, 60)
    # Two retries, after 5 and 10 s; then the run is canceled, and the healthy task with it.
    assert done.starts("a") == [0, 15, 35, 56]
    assert results(done) == {"a": "FAILED", "b": "CANCELED"}
    assert words(done.runs[0]) == "CANCELED"
    assert done.starts("b") == [0, 56]
    assert {"several_tasks_retries", "first_attempt"} <= done.assumed()


def test_the_run_is_replaced_if_no_other_task_is_in_its_first_attempt() -> None:
    spec = job(task("a"), task("b", cluster=OTHER), continuous=ON_FAILURE)
    done = simulate(spec, {"a": [BAD, None], "b": [(40, 1)]}, 60)
    # a is in its second attempt when b fails for the first time.
    assert done.starts("a") == [0, 15, 51]
    assert results(done) == {"a": "CANCELED", "b": "FAILED"}


def test_a_new_run_follows_a_canceled_continuous_run() -> None:
    simulation = Simulation(job(task("a"), continuous=ON_FAILURE), {"a": [None]}, assumptions=ASSUMED)
    simulation.run(5)
    simulation.feed(Cancel(START + seconds(20), 1))
    simulation.run(40)
    assert begins(simulation) == [0, 31]
    assert simulation.machine.snapshot().failures == 0


def test_a_requested_run_restarts_a_continuous_job_and_resets_its_pauses() -> None:
    simulation = Simulation(job(task("a"), continuous=NEVER), {"a": [BAD, None]}, assumptions=ASSUMED)
    simulation.run(35)
    assert simulation.machine.next_wakeup() == START + seconds(130)
    assert simulation.machine.snapshot().failures == 2
    simulation.feed(RunNow(START + seconds(50)))
    assert begins(simulation) == [0, 20, 50]
    assert simulation.runs[-1].trigger.value == "CONTINUOUS_RESTART"
    assert simulation.machine.snapshot().failures == 0
    simulation.feed(RunNow(START + seconds(55)))
    simulation.run(57)
    assert [words(view) for view in simulation.runs] == ["FAILED", "FAILED", "CANCELED", "RUNNING"]
    assert begins(simulation)[-1] == 56


def test_a_requested_run_of_a_paused_continuous_job_has_retries_and_no_next_run() -> None:
    paused = Continuous(TaskRetryMode.ON_FAILURE, paused=True)
    simulation = Simulation(job(task("a"), continuous=paused), {"a": [BAD]}, assumptions=ASSUMED)
    assert simulation.machine.finished
    simulation.feed(RunNow(START))
    simulation.run()
    assert simulation.starts() == [0, 15, 35, 65]
    assert simulation.machine.finished
    assert "paused_by_hand" in simulation.assumed()


def test_no_run_starts_after_a_stop() -> None:
    simulation = Simulation(job(task("a"), continuous=NEVER), {"a": [None]})
    simulation.run(3)
    simulation.feed(RunNow(START + seconds(5)))
    simulation.feed(Stop(START + seconds(5)))
    simulation.run()
    assert [words(view) for view in simulation.runs] == ["CANCELED"]
    assert simulation.machine.finished
    assert simulation.machine.next_wakeup() is None


def test_a_stop_cancels_queued_runs() -> None:
    simulation = Simulation(job(task("a"), queue=True), {"a": [None]})
    simulation.feed(RunNow(START))
    simulation.feed(RunNow(START))
    simulation.feed(Stop(START + seconds(1)))
    simulation.run()
    assert [words(view) for view in simulation.runs] == ["CANCELED", "CANCELED"]
    assert simulation.machine.finished


def test_the_next_run_of_a_continuous_job_is_an_event() -> None:
    done = simulate(job(task("a"), continuous=NEVER), {"a": [BAD]}, 11)
    events = [event.as_dict() for event in done.events if event.kind is EventKind.NEXT_RUN]
    assert events == [
        {"at": "2026-03-02T12:00:10.000Z", "event": "next_run", "next_at": "2026-03-02T12:00:20.000Z", "failures": 1}
    ]
    assert done.machine.snapshot().next_run == START + seconds(20)
