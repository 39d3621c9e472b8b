"""Random jobs of up to twelve tasks with random outcomes; checks use only the actions and events."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from databricks.sdk.service.jobs import RunIf, TaskRetryMode
from hypothesis import given, settings
from hypothesis import strategies as st

from dabs_lab.jobs.events import (
    AttemptEnded,
    Cancel,
    CancelAttempt,
    ClusterLost,
    EventKind,
    Input,
    RunEnded,
    RunNow,
    StartAttempt,
    StartCluster,
    Stop,
    StopCluster,
)
from dabs_lab.jobs.job_spec import ClusterSpec, Continuous, JobSpec, Schedule
from dabs_lab.jobs.quartz import parse_quartz
from dabs_lab.jobs.run_records import ClusterState, Result, State
from dabs_lab.jobs.task_graph import CANCELED, FAILED, SKIPPED, decide
from dev.tests.jobs.simulation import START, Outcome, Simulation, seconds, task

CLUSTERS = [ClusterSpec("one"), ClusterSpec("two")]
SPANS = st.one_of(st.none(), st.integers(5, 60).map(seconds))
# Mostly short, some failing, a few that never end.
OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    st.tuples(st.integers(0, 90), st.sampled_from([0, 0, 1])), st.tuples(st.integers(0, 20), st.just(1)), st.none()
)


@st.composite
def jobs(draw: st.DrawFn) -> JobSpec:
    """Generate a job with dependencies and retries, or a continuous one without them."""
    continuous = draw(st.booleans())
    tasks = []
    for at in range(draw(st.integers(1, 12))):
        key = f"t{at}"
        before = [] if continuous else draw(st.lists(st.integers(0, at - 1), unique=True, max_size=3)) if at else []
        own = ClusterSpec(key, own=True)
        tasks.append(
            task(
                key,
                *(f"t{other}" for other in before),
                cluster=draw(st.sampled_from([*CLUSTERS, own])),
                run_if=draw(st.sampled_from(list(RunIf))),
                max_retries=0 if continuous else draw(st.integers(-1, 3)),
                min_retry_interval=timedelta(0) if continuous else seconds(draw(st.integers(0, 60))),
                retry_on_timeout=not continuous and draw(st.booleans()),
                timeout=draw(SPANS),
            )
        )
    return JobSpec(
        "job",
        "the job",
        tuple(tasks),
        timeout=draw(st.one_of(st.none(), st.integers(60, 600).map(seconds))),
        max_concurrent_runs=draw(st.integers(1, 3)),
        queue=draw(st.booleans()),
        schedule=None if continuous else Schedule(parse_quartz("0 * * * * ?"), ZoneInfo("UTC")),
        continuous=Continuous(draw(st.sampled_from(list(TaskRetryMode)))) if continuous else None,
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[JobSpec, Simulation]:
    """Generate a job that ran for some minutes with random cancels and lost drivers, and was stopped."""
    spec = draw(jobs())
    chosen: dict[int, Outcome] = {}

    def outcome(start: StartAttempt) -> Outcome:
        chosen[start.attempt] = draw(OUTCOMES)
        return chosen[start.attempt]

    simulation = Simulation(
        spec, outcome, boot=draw(st.sampled_from([0, 4])), stopping=draw(st.sampled_from([0, 3])), paused=False
    )
    for second in sorted(draw(st.lists(st.integers(1, 400), max_size=4))):
        simulation.run(second)
        simulation.now = max(simulation.now, START + seconds(second))
        simulation.feed(draw(st.sampled_from(list(_possible(simulation)))))
    simulation.run(450)
    simulation.feed(Stop(max(simulation.now, START + seconds(450))))
    simulation.run()
    return spec, simulation


def _possible(simulation: Simulation) -> Iterator[Input]:
    yield RunNow(simulation.now)
    for run in simulation.runs:
        yield Cancel(simulation.now, run.id)
        yield from (Cancel(simulation.now, run.id, one.key) for one in run.tasks)
        for cluster in run.clusters:
            yield ClusterLost(simulation.now, cluster.id, "killed")


@given(histories())
@settings(max_examples=150, deadline=None)
def test_random_jobs_keep_all_rules(history: tuple[JobSpec, Simulation]) -> None:
    spec, done = history
    assert done.machine.finished, "a run always ends once it is stopped"
    assert done.machine.next_wakeup() is None
    _dependencies(spec, done)
    _retries(spec, done)
    _timeouts(spec, done)
    _concurrent_runs(spec, done)
    _clusters(spec, done)
    _snapshot(done)
    _results(spec, done)


def _states(done: Simulation, kind: EventKind) -> dict[tuple[int, str], list[tuple[datetime, str]]]:
    found: dict[tuple[int, str], list[tuple[datetime, str]]] = defaultdict(list)
    for event in done.events:
        if event.kind is kind:
            name = {EventKind.RUN: "", EventKind.TASK: event.task, EventKind.ATTEMPT: str(event.attempt)}[kind]
            found[event.run or 0, name or ""].append((event.at, str(event.data.get("result", event.data["state"]))))
    return found


def _dependencies(spec: JobSpec, done: Simulation) -> None:
    """Check that no attempt starts before its dependencies have ended, or against its condition."""
    ended: dict[tuple[int, str], Result] = {}
    for event in done.events:
        key = (event.run or 0, event.task or "")
        if event.kind is EventKind.TASK and event.data["state"] == "TERMINATED":
            ended[key] = Result(event.data["result"])
        if event.kind is EventKind.ATTEMPT and event.data["state"] == "PENDING":
            task_spec = spec.task(key[1])
            assert key not in ended, "no attempt after the task's end"
            assert all((key[0], other) in ended for other in task_spec.depends_on)
            assert decide(task_spec.run_if, [ended[key[0], other] for other in task_spec.depends_on]) is None


def _attempts(done: Simulation) -> dict[tuple[int, str], list[tuple[int, datetime, datetime, Result, datetime | None]]]:
    """Return id, start, end, result and start of the process of each attempt, by run and task."""
    began: dict[int, datetime] = {}
    launched: dict[int, datetime] = {}
    found = defaultdict(list)
    for event in done.events:
        if event.kind is EventKind.ATTEMPT and event.attempt is not None:
            if event.data["state"] == "PENDING":
                began[event.attempt] = event.at
            elif event.data["state"] == "RUNNING":
                launched[event.attempt] = event.at
            elif event.data["state"] == "TERMINATED":
                number, start = event.attempt, began[event.attempt]
                one = (number, start, event.at, Result(event.data["result"]), launched.get(number))
                found[event.run or 0, event.task or ""].append(one)
    return found


def _retries(spec: JobSpec, done: Simulation) -> None:
    """Check the number of retries, the results before them, and the interval from start to start."""
    for (_, key), attempts in _attempts(done).items():
        task_spec = spec.task(key)
        limit = task_spec.max_retries
        if spec.continuous:
            on_failure = spec.continuous.task_retry_mode is TaskRetryMode.ON_FAILURE
            limit = done.machine.assumptions.several_tasks_retries if on_failure else 0
        assert limit == -1 or len(attempts) <= 1 + limit
        for (_, start, end, result, _), (_, following, *_) in pairwise(attempts):
            assert result in FAILED
            assert following >= end
            assert following >= start + task_spec.min_retry_interval
            assert result is not Result.TIMEDOUT or task_spec.retry_on_timeout or spec.continuous


def _timeouts(spec: JobSpec, done: Simulation) -> None:
    """Check that an attempt and a run are canceled exactly at their timeouts."""
    canceled = {action.attempt: at for at, action in done.done if isinstance(action, CancelAttempt)}
    for (_, key), attempts in _attempts(done).items():
        for number, start, end, result, launched in attempts:
            limit = spec.task(key).timeout
            if limit is None:
                assert result is not Result.TIMEDOUT
                continue
            assert min(canceled.get(number, end), end) <= start + limit
            if result is Result.TIMEDOUT:
                assert (canceled[number] if launched else end) == start + limit
    for view in done.runs:
        if spec.timeout and view.start and view.end:
            assert view.end <= view.start + spec.timeout + seconds(3)


def _concurrent_runs(spec: JobSpec, done: Simulation) -> None:
    """Check the maximum of concurrent runs, and that only a job without a queue skips runs."""
    limit = 1 if spec.continuous else spec.max_concurrent_runs
    active: set[int] = set()
    for event in done.events:
        if event.kind is EventKind.RUN and event.run is not None:
            if event.data["state"] == "PENDING":
                active.add(event.run)
            elif event.data["state"] == "TERMINATED":
                active.discard(event.run)
                assert event.data.get("result") != "MAXIMUM_CONCURRENT_RUNS_REACHED" or not spec.queue
            assert len(active) <= limit
    assert active == set()


def _clusters(spec: JobSpec, done: Simulation) -> None:
    """Check that a cluster runs while its tasks need it, and no longer."""
    up: dict[str, StartCluster] = {}
    processes: dict[int, str] = {}
    ended = {(event.run, event.task): event.at for event in done.events if _is_end(event.kind, event.data)}
    for at, action in done.done:
        match action:
            case StartCluster():
                assert action.cluster not in up
                up[action.cluster] = action
                if not action.spec.own:
                    alike = [one for one in up.values() if (one.run, one.spec) == (action.run, action.spec)]
                    assert len(alike) == 1, "tasks of a run share a cluster"
            case StartAttempt():
                assert up[action.cluster].spec == action.task.cluster
                assert up[action.cluster].run == action.run
                processes[action.attempt] = action.cluster
            case StopCluster():
                stopped = up.pop(action.cluster)
                if stopped.spec.own or _was_lost(done, action.cluster):
                    continue
                users = [one.key for one in spec.tasks if one.cluster == stopped.spec]
                assert max(ended[stopped.run, key] for key in users) == at, "at the end of the last task on it"
            case RunEnded():
                assert not any(one.run == action.run for one in up.values()), "no cluster outlives its run"
    assert up == {}


def _is_end(kind: EventKind, data: object) -> bool:
    return kind is EventKind.TASK and isinstance(data, dict) and data["state"] == "TERMINATED"


def _was_lost(done: Simulation, name: str) -> bool:
    return any(event.data.get("cluster") == name and event.data["state"] == "LOST" for event in done.events
               if event.kind is EventKind.CLUSTER)  # fmt: skip


def _snapshot(done: Simulation) -> None:
    """Check that the snapshot agrees with the last event of each run, task and attempt."""
    runs, tasks = _states(done, EventKind.RUN), _states(done, EventKind.TASK)
    attempts = _states(done, EventKind.ATTEMPT)
    for view in done.runs:
        assert view.state is State.TERMINATED
        assert view.result is not None
        assert runs[view.id, ""][-1][1] == view.result.value
        assert all(cluster.state in (ClusterState.STOPPED, ClusterState.LOST) for cluster in view.clusters)
        for one in view.tasks:
            assert one.result is not None
            assert tasks[view.id, one.key][-1][1] == one.result.value
            for attempt in one.attempts:
                assert attempt.result is not None
                history = attempts[view.id, str(attempt.id)]
                assert history[-1] == (attempt.end, attempt.result.value)
                assert [result for _, result in history].count(attempt.result.value) == 1


def _results(spec: JobSpec, done: Simulation) -> None:
    """Check that the leaf tasks decide the result of a run."""
    leaves = {leaf.key for leaf in spec.leaves()}
    for view in done.runs:
        results = {one.key: one.result for one in view.tasks if one.result}
        last = {results[key] for key in leaves if key in results}
        match view.result:
            case Result.SUCCESS:
                assert set(results.values()) <= {Result.SUCCESS, Result.EXCLUDED}
            case Result.SUCCESS_WITH_FAILURES:
                assert last <= {Result.SUCCESS, Result.EXCLUDED}
                assert set(results.values()) & (FAILED | CANCELED)
            case Result.FAILED:
                assert last & FAILED
            case Result.TIMEDOUT:
                assert spec.timeout is not None
        for one in view.tasks:
            assert bool(one.attempts) or one.result in SKIPPED | {Result.CANCELED}


@given(jobs(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_run_ends_by_itself_unless_its_retries_are_unlimited(spec: JobSpec, data: st.DataObject) -> None:
    """A requested run ends if no process and no retry policy is unlimited."""
    lengths = st.tuples(st.integers(0, 30), st.integers(0, 1))
    simulation = Simulation(spec, lambda _: data.draw(lengths), paused=True)
    simulation.feed(RunNow(START))
    simulation.run(20_000)
    endless = [one.key for one in spec.tasks if one.max_retries == -1]
    if not endless or spec.timeout:
        assert simulation.machine.finished
    elif not simulation.machine.finished:
        (run,) = simulation.runs
        assert {one.key for one in run.tasks if one.state not in (State.TERMINATED, State.BLOCKED)} <= set(endless)


@given(jobs())
@settings(max_examples=30, deadline=None)
def test_the_same_inputs_give_the_same_outputs(spec: JobSpec) -> None:
    def outputs() -> list[dict[str, object]]:
        simulation = Simulation(
            spec, lambda start: (start.attempt * 7 % 40, start.attempt % 3 % 2), boot=2, paused=False
        )
        simulation.run(300)
        return [dict(event.as_dict()) for event in simulation.events]

    assert outputs() == outputs()


def test_a_second_end_of_an_attempt_has_no_effect() -> None:
    simulation = Simulation(JobSpec("j", "j", (task("a", max_retries=1),)), {"a": [(10, 1), (10, 0)]})
    simulation.feed(RunNow(START))
    simulation.run(12)
    first = simulation.task("a").attempts[0].id
    simulation.feed(AttemptEnded(START + seconds(13), first, 0))
    assert simulation.task("a").attempts[0].result is Result.FAILED
