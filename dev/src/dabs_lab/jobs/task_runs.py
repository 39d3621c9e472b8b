"""Tasks of one run: start, retry, cancel and skip them."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from databricks.sdk.service.jobs import TaskRetryMode

from dabs_lab.jobs import task_graph as graph
from dabs_lab.jobs import task_parameters as parameters
from dabs_lab.jobs.dynamic_values import RunContext, UnknownReferenceError
from dabs_lab.jobs.events import CancelAttempt, EventKind, Json, StartAttempt, iso
from dabs_lab.jobs.notifications import Notifier
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
    """Tasks of an active run, and their clusters."""

    def __init__(self, shared: Shared, context: RunContext, notifier: Notifier, now: datetime) -> None:
        self.all = {spec.key: TaskRun(spec) for spec in shared.spec.tasks}
        self.clusters = Clusters(context.run_id, shared.out)
        # True if a task of a continuous job has no retries left: a new run then replaces this one.
        self.gave_up = False
        # True if no further attempt starts.
        self.closed = False
        self._shared, self._out, self._context, self._notifier = shared, shared.out, context, notifier
        self._run = context.run_id
        for task in self.all.values():
            self._emit_task(task, now)

    @property
    def done(self) -> bool:
        """True if all tasks have ended."""
        return all(task.state is State.TERMINATED for task in self.all.values())

    @property
    def launched(self) -> bool:
        """True if any process was started."""
        return any(attempt.running_since for task in self.all.values() for attempt in task.attempts)

    def outcome(self, now: datetime) -> Outcome:
        """Return result and code of the run after all tasks have ended by themselves."""
        results = {key: task.result or Result.FAILED for key, task in self.all.items()}
        leaves = [results[leaf.key] for leaf in self._shared.spec.leaves()]
        found = graph.result_of_run(leaves, results.values())
        if found[0] is Result.FAILED and Result.FAILED not in leaves:
            self._out.assume(now, "leaf_timeout")
        return found

    def advance(self, now: datetime) -> None:
        """Apply timeouts, warnings and retries that are due; start or skip tasks whose dependencies have ended."""
        # Stop clusters first, so that their memory is free for the next one.
        self.clusters.release(self.all.values(), now)
        for task in self.all.values():
            if task.retry_at and task.retry_at <= now:
                self._start(task, now)
            if attempt := task.active:
                self._watch(task, attempt, now)
        # A skipped task may start or skip others.
        while any(self._start_or_skip(task, now) for task in self.all.values() if task.state is State.BLOCKED):
            pass
        self.clusters.release(self.all.values(), now)

    def deadlines(self) -> Iterator[datetime]:
        """Return the times at which `advance` has something to do."""
        for task in self.all.values():
            if task.retry_at:
                yield task.retry_at
            if attempt := task.active:
                if task.spec.timeout and attempt.cause is None:
                    yield attempt.start + task.spec.timeout
                if task.spec.duration_warning and not attempt.warned:
                    yield attempt.start + task.spec.duration_warning

    def attempt(self, number: int) -> tuple[TaskRun, Attempt] | None:
        """Return an attempt and its task by the attempt's id, or None."""
        found = ((task, one) for task in self.all.values() for one in task.attempts if one.id == number)
        return next(found, None)

    def cluster_up(self, cluster: Cluster, now: datetime) -> None:
        """Start the attempts that wait for the cluster."""
        if cluster.state is ClusterState.STARTING:
            self.clusters.up(cluster, now)
            for task, attempt in self._active_on(cluster):
                self._launch(task, attempt, now)

    def cluster_lost(self, cluster: Cluster, message: str, now: datetime) -> None:
        """Fail every attempt on the cluster and end their processes."""
        if cluster.alive:
            cause = Cause.CLUSTER if cluster.state is ClusterState.STARTING else Cause.DRIVER
            self.clusters.lost(cluster, now, message)
            for task, attempt in self._active_on(cluster):
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
        """Record the end of an attempt's process. A second report has no effect."""
        task, attempt = found
        if attempt.end is None:
            attempt.exit_code, attempt.message = exit_code, attempt.message or message
            task.values = values
            self._end(task, attempt, now)

    def cancel(self, task: TaskRun, now: datetime) -> None:
        """Cancel one task; tasks that depend on it follow their own conditions."""
        if attempt := task.active:
            self._cancel(task, attempt, Cause.USER, now)
        elif task.state is not State.TERMINATED:
            self._skip(task, OUTCOMES[Cause.USER], now)

    def close(self, cause: Cause, now: datetime) -> None:
        """Cancel active tasks and start no others."""
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
            self._notifier.too_long(now, task, attempt)
        if _passed(attempt.start, task.spec.timeout, now) and attempt.cause is None:
            self._out.assume(now, "timeout_start")
            self._cancel(task, attempt, Cause.TIMEOUT, now)

    def _start_or_skip(self, task: TaskRun, now: datetime) -> bool:
        """Start or skip a task if all its dependencies have ended; return True if so."""
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
        self._notifier.attempt_started(task, attempt, now)
        if cluster.state is ClusterState.RUNNING:
            self._launch(task, attempt, now)

    def _launch(self, task: TaskRun, attempt: Attempt, now: datetime) -> None:
        """Start the process on the cluster."""
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
        # The first cause counts.
        attempt.cause = attempt.cause or cause
        if attempt.state is State.PENDING:
            # A pending attempt has no process.
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
        self._emit_attempt(task, attempt, now)
        failed = attempt.result in graph.FAILED
        retry_at = None
        if failed and not self.closed and attempt.cause is not Cause.REFERENCE:
            retry_at = next_attempt(task, attempt, self.all.values(), self._shared, now)
        self._notifier.attempt_ended(task, attempt, attempt.result, retry_at is not None, now)
        if retry_at:
            task.state, task.retry_at = State.WAITING, retry_at
            self._emit_task(task, now)
            data: dict[str, Json] = {"next_at": iso(retry_at), "number": attempt.number + 1}
            self._out.emit(now, EventKind.RETRY, data, self._run, task.spec.key)
            return
        self._terminate(task, (attempt.result, attempt.code), now)
        continuous = self._shared.spec.continuous
        if failed and continuous and continuous.task_retry_mode is TaskRetryMode.ON_FAILURE and not self.closed:
            self.gave_up = True

    def _skip(self, task: TaskRun, outcome: Outcome, now: datetime) -> None:
        """End a task without an attempt."""
        self._terminate(task, outcome, now)
        self._notifier.task_ended(task, outcome[0], now)

    def _terminate(self, task: TaskRun, outcome: Outcome, now: datetime) -> None:
        task.state, task.retry_at, task.end = State.TERMINATED, None, now
        task.result, task.code = outcome
        self._emit_task(task, now)

    def _set(self, task: TaskRun, attempt: Attempt, state: State, now: datetime) -> None:
        attempt.state = task.state = state
        self._emit_attempt(task, attempt, now)
        self._emit_task(task, now)

    def _active_on(self, cluster: Cluster) -> list[tuple[TaskRun, Attempt]]:
        active = ((task, task.active) for task in self.all.values())
        return [(task, attempt) for task, attempt in active if attempt and attempt.cluster is cluster]

    def _emit_task(self, task: TaskRun, now: datetime) -> None:
        data: dict[str, Json] = {"state": task.state.value, "result": _value(task.result), "code": _value(task.code)}
        self._out.emit(now, EventKind.TASK, data, self._run, task.spec.key)

    def _emit_attempt(self, task: TaskRun, attempt: Attempt, now: datetime) -> None:
        data: dict[str, Json] = {
            "state": attempt.state.value,
            "result": _value(attempt.result),
            "code": _value(attempt.code),
            "number": attempt.number,
            "cluster": attempt.cluster.id,
        }
        if attempt.end:
            data |= {"exit_code": attempt.exit_code, "message": attempt.message or None}
        self._out.emit(now, EventKind.ATTEMPT, data, self._run, task.spec.key, attempt.id)


def _passed(start: datetime, limit: timedelta | None, now: datetime) -> bool:
    return limit is not None and start + limit <= now


def _value(value: Result | Code | None) -> str | None:
    return value.value if value else None
