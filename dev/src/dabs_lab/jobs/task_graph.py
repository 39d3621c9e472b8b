"""Dependencies of a job's tasks: checks, conditions of tasks, and the result of a run.

Rules: docs.databricks.com, "Configure task dependencies".
"""

from collections.abc import Callable, Iterable, Sequence

from databricks.sdk.service.jobs import RunIf, RunResultState, TerminationCodeCode

from dabs_lab.jobs.job_spec import TaskSpec
from dabs_lab.jobs.supported_settings import Path

Result = RunResultState
FAILED = frozenset({Result.FAILED, Result.TIMEDOUT, Result.UPSTREAM_FAILED})
CANCELED = frozenset({Result.CANCELED, Result.UPSTREAM_CANCELED})
# Results of tasks that did not run.
SKIPPED = frozenset({Result.EXCLUDED, Result.UPSTREAM_FAILED, Result.UPSTREAM_CANCELED})
# Arguments: path below the tasks, problem, remedy.
Refuse = Callable[[Path, str, str], None]


def check_graph(tasks: Sequence[TaskSpec], refuse: Refuse) -> None:
    """Report missing tasks, duplicate keys, unknown dependencies and cycles."""
    places = {task.key: at for at, task in enumerate(tasks)}
    if not tasks:
        refuse((), "has no task", "add one")
    for at, task in enumerate(tasks):
        if places[task.key] != at:
            refuse((at, "task_key"), f"task {task.key} is declared twice", "rename one")
        for number, other in enumerate(task.depends_on):
            if other not in places:
                refuse((at, "depends_on", number), f"depends on unknown task {other}", "correct the name")
    done: set[str] = set()
    while True:
        ready = [task.key for task in tasks if task.key not in done and set(task.depends_on) & places.keys() <= done]
        if not ready:
            break
        done.update(ready)
    if cycle := [task for task in tasks if task.key not in done]:
        names = ", ".join(task.key for task in cycle)
        refuse(
            (places[cycle[0].key], "depends_on"),
            f"tasks are part of a cycle or depend on it: {names}",
            "remove a dependency",
        )


def decide(run_if: RunIf, results: Sequence[RunResultState]) -> RunResultState | None:
    """Return None if a task runs after these results of its dependencies, else its own result.

    An unmet condition on success gives UPSTREAM_FAILED, or UPSTREAM_CANCELED if none failed and some were canceled. An
    unmet condition on failure gives EXCLUDED. If all dependencies are excluded, the task is excluded too.
    """
    if not results:
        return None
    failed = sum(result in FAILED for result in results)
    canceled = sum(result in CANCELED for result in results)
    succeeded = sum(result is Result.SUCCESS for result in results)
    if all(result is Result.EXCLUDED for result in results):
        return Result.EXCLUDED
    met = {
        RunIf.ALL_SUCCESS: succeeded == len(results),
        RunIf.AT_LEAST_ONE_SUCCESS: succeeded > 0,
        RunIf.NONE_FAILED: failed + canceled == 0 and succeeded > 0,
        RunIf.ALL_DONE: True,
        RunIf.AT_LEAST_ONE_FAILED: failed + canceled > 0,
        RunIf.ALL_FAILED: failed + canceled == len(results),
    }[run_if]
    if met:
        return None
    if run_if in (RunIf.AT_LEAST_ONE_FAILED, RunIf.ALL_FAILED) or failed + canceled == 0:
        return Result.EXCLUDED
    return Result.UPSTREAM_FAILED if failed else Result.UPSTREAM_CANCELED


def result_of_run(
    leaves: Iterable[RunResultState], results: Iterable[RunResultState]
) -> tuple[RunResultState, TerminationCodeCode]:
    """Return result and code of a run whose tasks all ended. Leaf tasks decide; excluded ones count as successful."""
    last = set(leaves)
    if last & FAILED:
        return Result.FAILED, TerminationCodeCode.RUN_EXECUTION_ERROR
    if last & CANCELED:
        return Result.CANCELED, TerminationCodeCode.USER_CANCELED
    if set(results) & (FAILED | CANCELED):
        return Result.SUCCESS_WITH_FAILURES, TerminationCodeCode.SUCCESS_WITH_FAILURES
    return Result.SUCCESS, TerminationCodeCode.SUCCESS
