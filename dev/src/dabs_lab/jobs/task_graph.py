"""The graph of a job's tasks: whether it is one, when a task may start, and what a run comes to.

Rules: docs.databricks.com, "Configure task dependencies": run_if, excluded tasks, how a run's state is determined.
"""

from collections.abc import Callable, Iterable, Sequence

from databricks.sdk.service.jobs import RunIf, RunResultState, TerminationCodeCode

from dabs_lab.jobs.job_spec import TaskSpec
from dabs_lab.jobs.supported_settings import Path

Result = RunResultState
FAILED = frozenset({Result.FAILED, Result.TIMEDOUT, Result.UPSTREAM_FAILED})
CANCELED = frozenset({Result.CANCELED, Result.UPSTREAM_CANCELED})
# Tasks with these did not run.
SKIPPED = frozenset({Result.EXCLUDED, Result.UPSTREAM_FAILED, Result.UPSTREAM_CANCELED})
# The path below the tasks, what is wrong, what to do.
Refuse = Callable[[Path, str, str], None]


def check_graph(tasks: Sequence[TaskSpec], refuse: Refuse) -> None:
    """Tells of tasks that are none, stand twice, depend on what is not there, or wait for each other."""
    places = {task.key: at for at, task in enumerate(tasks)}
    if not tasks:
        refuse((), "has no task", "write one")
    for at, task in enumerate(tasks):
        if places[task.key] != at:
            refuse((at, "task_key"), f"task {task.key} stands twice", "rename one")
        for number, other in enumerate(task.depends_on):
            if other not in places:
                refuse((at, "depends_on", number), f"depends on task {other}, which is not there", "mend the name")
    done: set[str] = set()
    while True:
        ready = [task.key for task in tasks if task.key not in done and set(task.depends_on) & places.keys() <= done]
        if not ready:
            break
        done.update(ready)
    if circle := [task for task in tasks if task.key not in done]:
        names = ", ".join(task.key for task in circle)
        refuse((places[circle[0].key], "depends_on"), f"tasks wait for each other, or for such: {names}", "break it")


def decide(run_if: RunIf, results: Sequence[RunResultState]) -> RunResultState | None:
    """What becomes of a task whose dependencies ended so: None when it runs, else the result of what does not.

    A condition on success that is not met gives UPSTREAM_FAILED (UPSTREAM_CANCELED when nothing failed but something
    was canceled), one on failure gives EXCLUDED. All excluded: excluded too, whatever the condition.
    """
    if not results:
        return None
    failed = sum(result in FAILED for result in results)
    canceled = sum(result in CANCELED for result in results)
    executed_well = sum(result is Result.SUCCESS for result in results)
    if all(result is Result.EXCLUDED for result in results):
        return Result.EXCLUDED
    met = {
        RunIf.ALL_SUCCESS: executed_well == len(results),
        RunIf.AT_LEAST_ONE_SUCCESS: executed_well > 0,
        RunIf.NONE_FAILED: failed + canceled == 0 and executed_well > 0,
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
    leaves: Iterable[RunResultState], every: Iterable[RunResultState]
) -> tuple[RunResultState, TerminationCodeCode]:
    """What a run comes to whose tasks all ended: its leaf tasks decide, and excluded ones count as successful."""
    last = set(leaves)
    if last & FAILED:
        return Result.FAILED, TerminationCodeCode.RUN_EXECUTION_ERROR
    if last & CANCELED:
        return Result.CANCELED, TerminationCodeCode.USER_CANCELED
    if set(every) & (FAILED | CANCELED):
        return Result.SUCCESS_WITH_FAILURES, TerminationCodeCode.SUCCESS_WITH_FAILURES
    return Result.SUCCESS, TerminationCodeCode.SUCCESS
