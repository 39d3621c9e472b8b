"""Rule on conditions that hide the failure of an earlier task."""

from collections.abc import Iterator
from graphlib import TopologicalSorter

from dabs_lab.check.declaration import Finding, Outcome, rule
from dabs_lab.check.notifications import failure_is_notified
from dabs_lab.check.rules.dependencies import cycle_in, dependencies
from dabs_lab.check.views import JobView, TargetView

_OK, _FAILED, _EXCLUDED = "ok", "failed", "excluded"
# Condition of a task with ALL_DONE that reads the results of other tasks.
_HANDLER = "HANDLER"


@rule(
    id="D204",
    name="run-if-hides-failure",
    severity="warning",
    title="A failed task leaves the run successful, because of run_if",
    reason=(
        "Only the last tasks of a job, those that no task depends on, decide on the result of a run. If they run"
        ' although an earlier task failed, the result is "Succeeded with failures". It counts as a success, and the'
        " job sends no failure notification."
    ),
    source=(
        "https://docs.databricks.com/aws/en/jobs/run-if (result of a run);"
        " https://docs.databricks.com/aws/en/jobs/notifications"
    ),
    fix=(
        "Give the earlier tasks their own `on_failure` notification, or add a last task without `run_if` behind them,"
        " or let the task read their result (`{{tasks.<name>.result_state}}`) and fail. To join the branches of a"
        " condition, use NONE_FAILED."
    ),
)
def run_if_hides_failure(target: TargetView) -> Iterator[Outcome]:
    """Yield each `run_if` behind which a failure is lost that no notification of a task reports."""
    for job in target.jobs:
        graph = dependencies(job)
        conditions = _conditions(job)
        if not {"ALL_DONE", "AT_LEAST_ONE_SUCCESS"}.intersection(conditions.values()) or cycle_in(graph):
            continue
        order = list(TopologicalSorter(graph).static_order())
        tasks = {task.key: task for task in job.tasks if task.outer is None}
        last = set(graph).difference(*graph.values())
        hidden: dict[str, list[str]] = {}
        for failing in order:
            # A condition task only compares two values.
            if failing in last or failure_is_notified(tasks[failing]) or tasks[failing].kind == "condition_task":
                continue
            states, hiding, handled = _run(order, graph, conditions, failing)
            if not handled and all(states[key] != _FAILED for key in last):
                for key in hiding:
                    hidden.setdefault(key, []).append(failing)
        for key, failing_tasks in hidden.items():
            names, condition = ", ".join(failing_tasks), tasks[key].text("run_if")
            message = f"task {key} runs with {condition} after a failure of {names}, and the run counts as successful"
            yield Finding(tasks[key].at("run_if"), message)


def _run(
    order: list[str], graph: dict[str, set[str]], conditions: dict[str, str], failing: str
) -> tuple[dict[str, str], list[str], bool]:
    """Play a run in which one task fails: states, tasks that run after a failed one, whether one handles failures."""
    states: dict[str, str] = {}
    hiding: list[str] = []
    for key in order:
        before = [states[on] for on in graph[key]]
        states[key] = _FAILED if key == failing else _state(conditions[key], before)
        if states[key] == _OK and _FAILED in before:
            hiding.append(key)
    handled = any(conditions[key] in (_HANDLER, "AT_LEAST_ONE_FAILED", "ALL_FAILED") for key in hiding)
    return states, hiding, handled


def _conditions(job: JobView) -> dict[str, str]:
    """Return the `run_if` of each task."""
    branches = any(entry.has("outcome") for task in job.tasks for entry in task.items("depends_on"))
    found: dict[str, str] = {}
    for task in job.tasks:
        if task.outer is None:
            condition = task.text("run_if")
            # A task that reads the results of others may itself fail or notify.
            if condition == "ALL_DONE" and any("result_state" in node.text for _, node in task.node.walk()):
                condition = _HANDLER
            # Of the branches behind a condition task, one alone runs: its failure is the only result.
            if condition == "AT_LEAST_ONE_SUCCESS" and branches:
                condition = "ALL_SUCCESS"
            found[task.key] = condition
    return found


def _state(condition: str, before: list[str]) -> str:
    """Return the state of a task that does not fail itself, from those of its dependencies."""
    failures = before.count(_FAILED)
    if before and all(state == _EXCLUDED for state in before):
        return _EXCLUDED
    match condition:
        case "ALL_DONE" | "HANDLER":
            return _OK
        case "AT_LEAST_ONE_SUCCESS":
            return _OK if _OK in before or not before else _FAILED
        case "AT_LEAST_ONE_FAILED":
            return _OK if failures else _EXCLUDED
        case "ALL_FAILED":
            return _OK if failures == len(before) else _EXCLUDED
        case _:
            return _FAILED if failures else _OK
