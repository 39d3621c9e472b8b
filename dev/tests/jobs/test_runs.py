"""One run: dependencies, conditions, retries, timeouts, clusters, results."""

from datetime import timedelta

import pytest
from databricks.sdk.service.jobs import JobsHealthMetric, RunIf

from dabs_lab.jobs.events import (
    AttemptEnded,
    Cancel,
    CancelAttempt,
    ClusterLost,
    EventKind,
    RunNow,
    StartAttempt,
    StartCluster,
    StopCluster,
    Tick,
)
from dabs_lab.jobs.job_spec import ClusterSpec, HealthRule, JobSpec, WheelTask
from dev.tests.jobs.simulation import START, Outcome, Outcomes, Simulation, job, results, seconds, task, words

OK, BAD = (10, 0), (10, 1)
OTHER = ClusterSpec("other")


def run(spec: JobSpec, outcomes: Outcomes, until: float | None = None, boot: float = 0) -> Simulation:
    simulation = Simulation(spec, outcomes, boot=boot)
    simulation.feed(RunNow(START))
    return simulation.run(until)


def test_a_task_starts_when_its_dependencies_have_ended() -> None:
    spec = job(task("a"), task("b"), task("c", "a", "b"), task("d", "c"))
    done = run(spec, {"a": [(10, 0)], "b": [(30, 0)], "c": [OK], "d": [OK]})
    assert [done.starts(key) for key in "abcd"] == [[0], [0], [30], [40]]
    assert words(done.runs[0]) == "SUCCESS"
    assert done.runs[0].end == START + seconds(50)


# Results of two dependencies by first letter (SUCCESS, FAILED, EXCLUDED, CANCELED), and the result of the task.
CONDITIONS = {
    RunIf.ALL_SUCCESS: "SS:runs SF:UPSTREAM_FAILED FF:UPSTREAM_FAILED SE:EXCLUDED EE:EXCLUDED SC:UPSTREAM_CANCELED "
    "FE:UPSTREAM_FAILED CF:UPSTREAM_FAILED",
    RunIf.AT_LEAST_ONE_SUCCESS: "SS:runs SF:runs FF:UPSTREAM_FAILED SE:runs EE:EXCLUDED SC:runs FE:UPSTREAM_FAILED "
    "CF:UPSTREAM_FAILED CC:UPSTREAM_CANCELED",
    RunIf.NONE_FAILED: "SS:runs SF:UPSTREAM_FAILED SE:runs EE:EXCLUDED SC:UPSTREAM_CANCELED CC:UPSTREAM_CANCELED",
    RunIf.ALL_DONE: "SS:runs SF:runs FF:runs SE:runs EE:EXCLUDED SC:runs CC:runs",
    RunIf.AT_LEAST_ONE_FAILED: "SS:EXCLUDED SF:runs FF:runs SE:EXCLUDED EE:EXCLUDED SC:runs FE:runs",
    RunIf.ALL_FAILED: "SS:EXCLUDED SF:EXCLUDED FF:runs SE:EXCLUDED EE:EXCLUDED CC:runs CF:runs FE:EXCLUDED",
}
CASES = [(run_if, *case.split(":")) for run_if, cases in CONDITIONS.items() for case in cases.split()]


@pytest.mark.parametrize(("run_if", "before", "becomes"), CASES)
def test_a_failing_dependency_gives_the_right_state_for_each_run_if(run_if: RunIf, before: str, becomes: str) -> None:
    kinds = {"x": before[0], "y": before[1]}
    # E: excluded, because `root` does not fail.
    tasks = [
        task(key, "root", run_if=RunIf.AT_LEAST_ONE_FAILED if kind == "E" else RunIf.ALL_SUCCESS)
        for key, kind in kinds.items()
    ]
    outcomes: dict[str, list[Outcome]] = {key: [BAD if kind == "F" else OK] for key, kind in kinds.items()}
    simulation = Simulation(
        job(task("root"), *tasks, task("last", "x", "y", run_if=run_if)), {**outcomes, "root": [OK], "last": [OK]}
    )
    simulation.feed(RunNow(START))
    simulation.run(12)
    for key, kind in kinds.items():
        if kind == "C":
            simulation.feed(Cancel(simulation.now, simulation.runs[0].id, key))
    simulation.run()
    assert words(simulation.task("last")) == ("SUCCESS" if becomes == "runs" else becomes)
    assert bool(simulation.starts("last")) == (becomes == "runs")


def test_a_skipped_task_skips_the_tasks_that_depend_on_it() -> None:
    spec = job(task("a"), task("b", "a"), task("c", "b"), task("repair", "c", run_if=RunIf.AT_LEAST_ONE_FAILED))
    done = run(spec, {"a": [BAD], "repair": [OK]})
    assert results(done) == {"a": "FAILED", "b": "UPSTREAM_FAILED", "c": "UPSTREAM_FAILED", "repair": "SUCCESS"}
    assert done.task("b").life_cycle.value == "SKIPPED"
    assert str(done.task("b").code) == "TerminationCodeCode.SKIPPED"


@pytest.mark.parametrize(
    ("outcomes", "result", "code"),
    [
        ({"a": [OK], "b": [OK]}, "SUCCESS", "SUCCESS"),
        ({"a": [BAD], "b": [OK]}, "SUCCESS_WITH_FAILURES", "SUCCESS_WITH_FAILURES"),
        ({"a": [BAD], "b": [BAD]}, "FAILED", "RUN_EXECUTION_ERROR"),
        ({"a": [OK], "b": [BAD]}, "FAILED", "RUN_EXECUTION_ERROR"),
    ],
)
def test_leaf_tasks_decide_the_result_of_a_run(outcomes: Outcomes, result: str, code: str) -> None:
    view = run(job(task("a"), task("b", "a", run_if=RunIf.ALL_DONE)), outcomes).runs[0]
    assert (view.result and view.result.value, view.code and view.code.value) == (result, code)


def test_an_excluded_leaf_counts_as_successful() -> None:
    done = run(job(task("a"), task("repair", "a", run_if=RunIf.ALL_FAILED)), {"a": [OK]})
    assert results(done) == {"a": "SUCCESS", "repair": "EXCLUDED"}
    assert words(done.runs[0]) == "SUCCESS"


def test_a_task_is_retried_up_to_its_limit() -> None:
    done = run(job(task("a", max_retries=3)), {"a": [BAD]})
    assert done.starts() == [0, 10, 20, 30]
    assert words(done.runs[0]) == "FAILED"
    assert [one.number for one in done.task("a").attempts] == [1, 2, 3, 4]


def test_minus_one_means_unlimited_retries() -> None:
    done = run(job(task("a", max_retries=-1)), {"a": [BAD]}, until=10_000)
    assert len(done.starts()) == 1001
    assert words(done.runs[0]) == "RUNNING"


def test_a_retry_that_succeeds_makes_the_run_successful() -> None:
    done = run(job(task("a", max_retries=2), task("b", "a")), {"a": [BAD, OK], "b": [OK]})
    assert done.starts("b") == [20]
    assert words(done.runs[0]) == "SUCCESS"


def test_the_interval_between_attempts_is_from_start_to_start() -> None:
    spec = job(task("a", max_retries=3, min_retry_interval=timedelta(minutes=1)))
    assert run(spec, {"a": [(10, 1), (59, 1), (90, 1), (1, 0)]}).starts() == [0, 60, 120, 210]


def test_a_sibling_runs_on_while_a_task_is_retried() -> None:
    spec = job(task("a", max_retries=-1, min_retry_interval=timedelta(minutes=1)), task("b", cluster=OTHER))
    done = run(spec, {"a": [BAD], "b": [None]}, until=200)
    assert done.starts("a") == [0, 60, 120, 180]
    assert done.starts("b") == [0]
    assert words(done.task("b")) == "RUNNING"
    assert words(done.task("a")) == "WAITING"
    # The platform shows RUNNING although one task waits.
    assert words(done.runs[0]) == "RUNNING"


@pytest.mark.parametrize(("retried", "starts"), [(False, [0]), (True, [0, 31])])
def test_a_timed_out_attempt_is_retried_only_with_retry_on_timeout(retried: bool, starts: list[float]) -> None:
    spec = job(task("a", max_retries=1, timeout=seconds(30), retry_on_timeout=retried))
    done = run(spec, {"a": [None]})
    assert done.starts() == starts
    last = done.task("a").attempts[-1]
    assert (last.result and last.result.value, last.code and last.code.value) == ("TIMEDOUT", "CANCELED")
    assert "timeout_start" in done.assumed()
    assert words(done.runs[0]) == "FAILED"
    assert "leaf_timeout" in done.assumed()


def test_the_timeout_of_a_run_cancels_active_and_waiting_tasks() -> None:
    spec = job(
        task("a"), task("b", "a"), task("c", max_retries=9, min_retry_interval=seconds(500)), timeout=seconds(60)
    )
    done = run(spec, {"a": [None], "c": [BAD]})
    assert results(done) == {"a": "CANCELED", "b": "UPSTREAM_CANCELED", "c": "CANCELED"}
    view = done.runs[0]
    assert (words(view), view.code and view.code.value, view.end) == ("TIMEDOUT", "CANCELED", START + seconds(61))
    assert [at for at, action in done.done if isinstance(action, CancelAttempt)] == [START + seconds(60)]


def test_a_canceled_run_starts_no_task() -> None:
    simulation = Simulation(job(task("a", max_retries=-1), task("b", "a", run_if=RunIf.ALL_DONE)), {"a": [None]})
    simulation.feed(RunNow(START))
    simulation.feed(Cancel(START + seconds(5), simulation.runs[0].id))
    assert words(simulation.runs[0]) == "TERMINATING"
    simulation.run()
    assert results(simulation) == {"a": "CANCELED", "b": "UPSTREAM_CANCELED"}
    view = simulation.runs[0]
    assert (words(view), view.code and view.code.value) == ("CANCELED", "USER_CANCELED")
    assert "canceled_waiting" in simulation.assumed()


def test_a_timed_out_attempt_is_not_retried_after_its_run_is_canceled() -> None:
    spec = job(task("a", timeout=seconds(30), max_retries=-1, retry_on_timeout=True))
    simulation = Simulation(spec, {"a": [None]}, stopping=10)
    simulation.feed(RunNow(START))
    simulation.run(35)
    simulation.feed(Cancel(START + seconds(35), 1))
    simulation.run()
    assert results(simulation) == {"a": "TIMEDOUT"}
    assert (simulation.starts(), words(simulation.runs[0]), simulation.now) == ([0], "CANCELED", START + seconds(40))


def test_a_clean_up_task_runs_after_a_canceled_task() -> None:
    simulation = Simulation(
        job(task("a", max_retries=-1), task("b", "a"), task("clean", "b", run_if=RunIf.AT_LEAST_ONE_FAILED)),
        {"a": [None], "clean": [OK]},
    )
    simulation.feed(RunNow(START))
    simulation.feed(Cancel(START + seconds(5), simulation.runs[0].id, "a"))
    simulation.run()
    assert results(simulation) == {"a": "CANCELED", "b": "UPSTREAM_CANCELED", "clean": "SUCCESS"}
    assert "canceled_is_failed" in simulation.assumed()


def test_a_cluster_lives_from_its_first_task_to_the_end_of_its_last() -> None:
    spec = job(task("a"), task("b", "a"), task("c", cluster=OTHER), task("d", "b", "c", cluster=OTHER))
    done = run(spec, {"a": [OK], "b": [OK], "c": [(5, 0)], "d": [OK]}, boot=3)
    clusters = [
        ((at - START).total_seconds(), type(action), action.cluster)
        for at, action in done.done
        if isinstance(action, StartCluster | StopCluster)
    ]
    one, two = (f"1-{key}-1" for key in ("main", "other"))
    assert clusters == [
        (0, StartCluster, one), (0, StartCluster, two), (23, StopCluster, one), (33, StopCluster, two)
    ]  # fmt: skip
    assert done.starts("a") == [3], "an attempt's process starts when the driver answers"


def test_a_cluster_of_a_skipped_task_never_starts() -> None:
    done = run(job(task("a"), task("b", "a", cluster=OTHER)), {"a": [BAD]})
    assert [action.spec.key for _, action in done.done if isinstance(action, StartCluster)] == ["main"]


def test_a_lost_driver_fails_only_its_attempts_and_a_retry_gets_a_new_cluster() -> None:
    spec = job(task("a", max_retries=1), task("b", max_retries=0), task("c", cluster=OTHER))
    simulation = Simulation(spec, {"a": [None, OK], "b": [None], "c": [(60, 0)]})
    simulation.feed(RunNow(START))
    simulation.run(20)
    simulation.feed(ClusterLost(START + seconds(20), "1-main-1", "killed"))
    assert [words(simulation.task(key)) for key in "abc"] == ["TERMINATING", "TERMINATING", "RUNNING"]
    simulation.run()
    assert results(simulation) == {"a": "SUCCESS", "b": "FAILED", "c": "SUCCESS"}
    first = simulation.task("a").attempts[0]
    assert (first.code and first.code.value, first.message) == ("DRIVER_ERROR", "killed")
    assert [one.cluster for one in simulation.task("a").attempts] == ["1-main-1", "1-main-2"]
    assert "new_cluster" in simulation.assumed()


def test_a_cluster_that_does_not_start_fails_the_attempts_that_wait_for_it() -> None:
    simulation = Simulation(job(task("a", max_retries=1)), {"a": [OK]}, boot=100)
    simulation.feed(RunNow(START))
    simulation.feed(ClusterLost(START + seconds(10), "1-main-1", "no memory"))
    simulation.run()
    first = simulation.task("a").attempts[0]
    assert (first.code and first.code.value, first.end) == ("CLUSTER_ERROR", START + seconds(10))
    assert simulation.starts() == [110]
    assert words(simulation.runs[0]) == "SUCCESS"


def test_a_task_with_its_own_cluster_gets_a_new_one_for_each_attempt() -> None:
    own = ClusterSpec("a", own=True)
    done = run(job(task("a", cluster=own, max_retries=1)), {"a": [BAD, OK]})
    names = [action.cluster for _, action in done.done if isinstance(action, StartCluster | StopCluster)]
    assert names == ["1-task-a-1", "1-task-a-1", "1-task-a-2", "1-task-a-2"]
    assert "own_cluster" in done.assumed()


def test_parameters_are_resolved_for_each_attempt() -> None:
    named = {
        "run": "{{job.run_id}}",
        "attempt": "{{task.execution_count}}",
        "by": "task",
        "day": "{{job.start_time.iso_date}}",
    }
    spec = job(
        task("a", work=WheelTask("p", "e", named), max_retries=1),
        task("b", "a", work=WheelTask("p", "e", {}, ("{{tasks.a.result_state}}", "{{tasks.a.values.rows}}"))),
        parameters={"by": "{{job.name}}", "more": "{{job.trigger.type}}"},
    )
    simulation = Simulation(spec, {"a": [BAD, None], "b": [OK]})
    simulation.feed(RunNow(START, {"more": "requested"}))
    simulation.run()
    last = simulation.task("a").attempts[-1].id
    simulation.feed(AttemptEnded(START + seconds(20), last, 0, values={"rows": "7"}))
    lines = [action.arguments for _, action in simulation.done if isinstance(action, StartAttempt)]
    # The job's parameters override those of the task.
    common = ("--by=the job", "--day=2026-03-02", "--more=requested")
    assert sorted(lines[0]) == sorted(("--run=1", "--attempt=1", *common))
    assert sorted(lines[1]) == sorted(("--run=1", "--attempt=2", *common))
    assert lines[2] == ("success", "7")


def test_a_missing_task_value_fails_the_attempt_without_a_retry() -> None:
    work = WheelTask("p", "e", {}, ("{{tasks.a.values.rows}}",))
    done = run(job(task("a"), task("b", "a", work=work, max_retries=-1)), {"a": [OK]})
    attempt = done.task("b").attempts[-1]
    assert len(done.task("b").attempts) == 1
    assert attempt.code is not None
    assert attempt.code.value == "INVALID_RUN_CONFIGURATION"
    assert "rows" in attempt.message
    assert "bad_reference" in done.assumed()


def test_a_long_run_without_recipients_notifies_nobody() -> None:
    rule = (HealthRule(JobsHealthMetric.RUN_DURATION_SECONDS, 30),)
    done = run(job(task("a", health=rule), health=rule), {"a": [(100, 0)]})
    assert [event for event in done.events if event.kind is EventKind.NOTIFICATION] == []
    assert done.now == START + seconds(100)


def test_inputs_for_unknown_ids_are_refused_and_for_ended_ones_have_no_effect() -> None:
    done = run(job(task("a")), {"a": [OK]})
    before = done.machine.snapshot()
    done.feed(AttemptEnded(done.now, done.task("a").attempts[0].id, 1))
    done.feed(ClusterLost(done.now, "1-main-1"))
    done.feed(Cancel(done.now, 1))
    assert done.machine.snapshot() == before
    for wrong in (AttemptEnded(done.now, 99, 0), ClusterLost(done.now, "x"), Cancel(done.now, 99)):
        with pytest.raises(ValueError, match="unknown"):
            done.feed(wrong)
    with pytest.raises(ValueError, match="earlier than the last input"):
        done.machine.feed(Tick(START))


def test_a_run_is_pending_until_its_first_process_starts() -> None:
    simulation = Simulation(job(task("a")), {"a": [OK]}, boot=30)
    simulation.feed(RunNow(START))
    assert words(simulation.runs[0]) == "PENDING"
    simulation.run(30)
    assert words(simulation.runs[0]) == "RUNNING"
