"""The tasks of one run: attempts start, end, are tried again or canceled; what follows them starts or is skipped."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from databricks.sdk.service.jobs import TaskRetryMode

from dabs_lab.jobs import task_graph as graph
from dabs_lab.jobs import task_parameters as parameters
from dabs_lab.jobs.dynamic_values import RunContext, UnknownReferenceError
from dabs_lab.jobs.events import CancelAttempt, EventKind, Json, StartAttempt, iso
from dabs_lab.jobs.notifications import Notices
from dabs_lab.jobs.retries import next_attempt
from dabs_lab.jobs.run_clusters import Clusters
from dabs_lab.jobs.run_records import (
    OUTCOMES,
    Attempt,
    Cause,
    Cluster,
    ClusterState,
    Code,
    Outcome,
    Result,
    Shared,
    State,
    TaskRun,
)


class Tasks:
    """The tasks of a run that has begun, and the clusters that they need."""

    def __init__(self, shared: Shared, context: RunContext, notices: Notices, now: datetime) -> None:
        self.all = {spec.key: TaskRun(spec) for spec in shared.spec.tasks}
        self.clusters = Clusters(context.run_id, shared.out)
        # A task of a continuous job is not tried again: the run is to be replaced.
        self.gave_up = False
        # Nothing starts any more.
        self.closed = False
        self._shared, self._out, self._context, self._notices = shared, shared.out, context, notices
        self._run = context.run_id
        for task in self.all.values():
            self._tell_task(task, now)

    @property
    def done(self) -> bool:
        """Whether all have ended."""
        return all(task.state is State.TERMINATED for task in self.all.values())

    @property
    def launched(self) -> bool:
        """Whether any process was started."""
        return any(attempt.running_since for task in self.all.values() for attempt in task.attempts)

    def outcome(self, now: datetime) -> Outcome:
        """What the run comes to when all have ended of themselves."""
        results = {key: task.result or Result.FAILED for key, task in self.all.items()}
        leaves = [results[leaf.key] for leaf in self._shared.spec.leaves()]
        found = graph.result_of_run(leaves, results.values())
        if found[0] is Result.FAILED and Result.FAILED not in leaves:
            self._out.assume(now, "leaf_timeout")
        return found

    def advance(self, now: datetime) -> None:
        """Do what is due: time-outs, warnings, retries, and what follows tasks that ended."""
        # First, so that a driver's memory is free when the next one starts.
        self.clusters.release(self.all.values(), now)
        for task in self.all.values():
            if task.retry_at and task.retry_at <= now:
                self._start(task, now)
            if attempt := task.active:
                self._watch(task, attempt, now)
        # Skipping a task may decide about others.
        while any(self._open(task, now) for task in self.all.values() if task.state is State.BLOCKED):
            pass
        self.clusters.release(self.all.values(), now)

    def deadlines(self) -> Iterator[datetime]:
        """When something is due by itself."""
        for task in self.all.values():
            if task.retry_at:
                yield task.retry_at
            if attempt := task.active:
                if task.spec.timeout and attempt.cause is None:
                    yield attempt.start + task.spec.timeout
                if task.spec.duration_warning and not attempt.warned:
                    yield attempt.start + task.spec.duration_warning

    def attempt(self, number: int) -> tuple[TaskRun, Attempt] | None:
        """An attempt by its id."""
        found = ((task, one) for task in self.all.values() for one in task.attempts if one.id == number)
        return next(found, None)

    def cluster_up(self, cluster: Cluster, now: datetime) -> None:
        """The attempts that waited for it start."""
        if cluster.state is ClusterState.STARTING:
            self.clusters.up(cluster, now)
            for task, attempt in self._on(cluster):
                self._launch(task, attempt, now)

    def cluster_lost(self, cluster: Cluster, message: str, now: datetime) -> None:
        """Every attempt on it fails; their processes are ended too, whatever they are waiting for."""
        if cluster.lives:
            cause = Cause.CLUSTER if cluster.state is ClusterState.STARTING else Cause.DRIVER
            self.clusters.lost(cluster, now, message)
            for task, attempt in self._on(cluster):
                attempt.message = attempt.message or message
                self._cancel(task, attempt, cause, now)

    def ended(
        self,
        found: tuple[TaskRun, Attempt],
        exit_code: int | None,
        message: str,
        values: Mapping[str, str],
        now: datetime,
    ) -> None:
        """The process of an attempt is gone. A second report changes nothing."""
        task, attempt = found
        if attempt.end is None:
            attempt.exit_code, attempt.message = exit_code, attempt.message or message
            task.values = values
            self._end(task, attempt, now)

    def cancel(self, task: TaskRun, now: datetime) -> None:
        """One task is canceled by somebody; what follows it goes by its own condition."""
        if attempt := task.active:
            self._cancel(task, attempt, Cause.USER, now)
        elif task.state is not State.TERMINATED:
            self._skip(task, OUTCOMES[Cause.USER], now)

    def close(self, cause: Cause, now: datetime) -> None:
        """What runs is canceled, and nothing else starts."""
        self.closed = True
        for task in self.all.values():
            if attempt := task.active:
                self._cancel(task, attempt, cause, now)
            elif task.state is not State.TERMINATED:
                result, code = OUTCOMES[cause]
                if task.state is State.BLOCKED:
                    self._out.assume(now, "canceled_waiting")
                    result = Result.UPSTREAM_CANCELED
                self._skip(task, (result, code), now)

    def _watch(self, task: TaskRun, attempt: Attempt, now: datetime) -> None:
        if _passed(attempt.start, task.spec.duration_warning, now) and not attempt.warned:
            attempt.warned = True
            self._notices.too_long(now, task, attempt)
        if _passed(attempt.start, task.spec.timeout, now) and attempt.cause is None:
            self._out.assume(now, "timeout_start")
            self._cancel(task, attempt, Cause.TIMEOUT, now)

    def _open(self, task: TaskRun, now: datetime) -> bool:
        """Start or skip a task whose dependencies have all ended; whether it did."""
        before = [self.all[key] for key in task.spec.depends_on]
        results = [one.result for one in before if one.result is not None]
        if self.closed or len(results) < len(before):
            return False
        if set(results) & graph.CANCELED:
            self._out.assume(now, "canceled_is_failed")
        skipped = graph.decide(task.spec.run_if, results)
        if skipped is None:
            self._start(task, now)
            return True
        if skipped is Result.EXCLUDED and set(results) == {Result.EXCLUDED, Result.SUCCESS}:
            self._out.assume(now, "excluded_dependency")
        self._skip(task, (skipped, Code.SKIPPED), now)
        return True

    def _start(self, task: TaskRun, now: datetime) -> None:
        cluster = self.clusters.take(task.spec.cluster, now)
        attempt = Attempt(next(self._shared.ids), len(task.attempts) + 1, cluster, now)
        task.attempts.append(attempt)
        task.retry_at = None
        self._set(task, attempt, State.PENDING, now)
        self._notices.attempt_started(task, attempt, now)
        if cluster.state is ClusterState.RUNNING:
            self._launch(task, attempt, now)

    def _launch(self, task: TaskRun, attempt: Attempt, now: datetime) -> None:
        """The cluster is up: start the process."""
        upstream = {key: self.all[key] for key in self._shared.spec.upstream(task.spec.key)}
        try:
            line = parameters.arguments(task, attempt, upstream, self._context)
        except UnknownReferenceError as error:
            attempt.message = str(error)
            self._out.assume(now, "bad_reference")
            self._cancel(task, attempt, Cause.REFERENCE, now)
            return
        attempt.running_since = now
        self._out.act(StartAttempt(attempt.id, self._run, task.spec, attempt.number, attempt.cluster.id, line))
        self._set(task, attempt, State.RUNNING, now)

    def _cancel(self, task: TaskRun, attempt: Attempt, cause: Cause, now: datetime) -> None:
        # What came first is the reason.
        attempt.cause = attempt.cause or cause
        if attempt.state is State.PENDING:
            # It has no process yet.
            self._end(task, attempt, now)
        elif attempt.state is State.RUNNING:
            self._out.act(CancelAttempt(attempt.id, attempt.cause.value))
            self._set(task, attempt, State.TERMINATING, now)

    def _end(self, task: TaskRun, attempt: Attempt, now: datetime) -> None:
        if attempt.cause:
            attempt.result, attempt.code = OUTCOMES[attempt.cause]
        elif attempt.exit_code == 0:
            attempt.result, attempt.code = Result.SUCCESS, Code.SUCCESS
        else:
            attempt.result, attempt.code = Result.FAILED, Code.RUN_EXECUTION_ERROR
        attempt.state, attempt.end = State.TERMINATED, now
        self._tell_attempt(task, attempt, now)
        failed = attempt.result in graph.FAILED
        retry_at = None
        if failed and not self.closed and attempt.cause is not Cause.REFERENCE:
            retry_at = next_attempt(task, attempt, self.all.values(), self._shared, now)
        self._notices.attempt_ended(task, attempt, attempt.result, retry_at is not None, now)
        if retry_at:
            task.state, task.retry_at = State.WAITING, retry_at
            self._tell_task(task, now)
            said: dict[str, Json] = {"next_at": iso(retry_at), "number": attempt.number + 1}
            self._out.tell(now, EventKind.RETRY, said, self._run, task.spec.key)
            return
        self._terminate(task, (attempt.result, attempt.code), now)
        continuous = self._shared.spec.continuous
        if failed and continuous and continuous.task_retry_mode is TaskRetryMode.ON_FAILURE and not self.closed:
            self.gave_up = True

    def _skip(self, task: TaskRun, outcome: Outcome, now: datetime) -> None:
        """It ends without an attempt that ends."""
        self._terminate(task, outcome, now)
        self._notices.task_ended(task, outcome[0], now)

    def _terminate(self, task: TaskRun, outcome: Outcome, now: datetime) -> None:
        task.state, task.retry_at, task.end = State.TERMINATED, None, now
        task.result, task.code = outcome
        self._tell_task(task, now)

    def _set(self, task: TaskRun, attempt: Attempt, state: State, now: datetime) -> None:
        attempt.state = task.state = state
        self._tell_attempt(task, attempt, now)
        self._tell_task(task, now)

    def _on(self, cluster: Cluster) -> list[tuple[TaskRun, Attempt]]:
        active = ((task, task.active) for task in self.all.values())
        return [(task, attempt) for task, attempt in active if attempt and attempt.cluster is cluster]

    def _tell_task(self, task: TaskRun, now: datetime) -> None:
        said: dict[str, Json] = {
            "state": task.state.value,
            "result": _word(task.result),
            "code": _word(task.code),
        }
        self._out.tell(now, EventKind.TASK, said, self._run, task.spec.key)

    def _tell_attempt(self, task: TaskRun, attempt: Attempt, now: datetime) -> None:
        said: dict[str, Json] = {
            "state": attempt.state.value,
            "result": _word(attempt.result),
            "code": _word(attempt.code),
            "number": attempt.number,
            "cluster": attempt.cluster.id,
        }
        if attempt.end:
            said |= {"exit_code": attempt.exit_code, "message": attempt.message or None}
        self._out.tell(now, EventKind.ATTEMPT, said, self._run, task.spec.key, attempt.id)


def _passed(start: datetime, limit: timedelta | None, now: datetime) -> bool:
    return limit is not None and start + limit <= now


def _word(value: Result | Code | None) -> str | None:
    return value.value if value else None
