"""Rules on dependencies, drivers, retries and notifications: cases beyond their examples."""

from pathlib import Path

import pytest

from dabs_lab.check.engine import CheckReport, check_folder

HEAD = "bundle: {name: example}\nresources:\n  jobs:\n    live:\n"
SCHEDULE = '      schedule: {quartz_cron_expression: "0 0/15 * * * ?", timezone_id: UTC}\n'
NOTEBOOK = "notebook_task: {notebook_path: /Workspace/Shared/n}"
DEVELOPMENT = "targets: {dev: {mode: development, default: true}}\n"


def check(folder: Path, job: str, rule: str, rest: str = "") -> CheckReport:
    (folder / "databricks.yml").write_text(f"{HEAD}{job}{rest}", "utf-8")
    return check_folder(folder, every=True, select=[rule])


def tasks(*fields: str) -> str:
    return "      tasks:\n" + "".join(f"        - {{{one}, {NOTEBOOK}}}\n" for one in fields)


@pytest.mark.parametrize(
    "last",
    [
        "depends_on: [{task_key: a}], run_if: AT_LEAST_ONE_FAILED",
        "depends_on: [{task_key: a}], run_if: ALL_SUCCESS",
        'depends_on: [{task_key: a}], run_if: ALL_DONE, description: "{{tasks.a.result_state}}"',
    ],
)
def test_a_failure_that_a_last_task_handles_or_repeats_is_not_hidden(tmp_path: Path, last: str) -> None:
    assert not check(tmp_path, tasks("task_key: a", f"task_key: b, {last}"), "D204").findings


def test_a_failure_is_hidden_although_tasks_stand_between_it_and_the_last_one(tmp_path: Path) -> None:
    job = tasks(
        "task_key: a",
        "task_key: b, depends_on: [{task_key: a}]",
        "task_key: c, depends_on: [{task_key: b}], run_if: ALL_DONE",
    )
    (finding,) = check(tmp_path, job, "D204").findings
    assert "after a failure of a, b" in finding.message


def test_the_two_branches_of_a_condition_may_meet_in_at_least_one_success(tmp_path: Path) -> None:
    job = tasks(
        'task_key: yes, depends_on: [{task_key: is_full, outcome: "true"}]',
        'task_key: no, depends_on: [{task_key: is_full, outcome: "false"}]',
        "task_key: after, depends_on: [{task_key: yes}, {task_key: no}], run_if: AT_LEAST_ONE_SUCCESS",
    )
    job += '        - {task_key: is_full, condition_task: {op: EQUAL_TO, left: "1", right: "1"}}\n'
    assert not check(tmp_path, job, "D204").findings


def test_each_cycle_of_dependencies_is_found_once(tmp_path: Path) -> None:
    pairs = [("a", "b"), ("b", "a"), ("c", "c"), ("d", "a")]
    job = tasks(*(f"task_key: {key}, depends_on: [{{task_key: {on}}}]" for key, on in pairs))
    assert len(check(tmp_path, job, "D202").findings) == 2


def test_a_backlog_rule_without_effect_needs_no_recipient(tmp_path: Path) -> None:
    job = "      tasks: [{task_key: p, pipeline_task: {pipeline_id: x}, health: {rules: [%s]}}]\n"
    job %= "{metric: STREAMING_BACKLOG_SECONDS, op: GREATER_THAN, value: 9}"
    assert len(check(tmp_path, job, "D504").findings) == 1
    assert not check(tmp_path, job, "D505").findings
    assert len(check(tmp_path, job.replace("STREAMING_BACKLOG", "RUN_DURATION"), "D505").findings) == 1


@pytest.mark.parametrize("rule", ["D402", "D501", "D503", "D507"])
def test_a_rule_on_streams_cannot_tell_for_a_notebook_that_names_none(tmp_path: Path, rule: str) -> None:
    of_job = "      email_notifications: {on_failure: [a@company.com]}\n" if rule == "D501" else ""
    retries = "max_retries: 2, " if rule == "D501" else ""
    job = SCHEDULE + of_job + tasks(f"task_key: a, {retries}existing_cluster_id: c")
    report = check(tmp_path, job, rule)
    assert (len(report.findings), len(report.cannot_tell)) == (0, 1)


@pytest.mark.parametrize("rule", ["D402", "D404", "D503", "D505", "D506", "D507", "D508"])
def test_development_mode_needs_no_recipients_and_no_retries(tmp_path: Path, rule: str) -> None:
    job = SCHEDULE + (
        "      email_notifications: {on_failure: [a@example.com], on_streaming_backlog_exceeded: ['']}\n"
        "      health: {rules: [{metric: RUN_DURATION_SECONDS, op: GREATER_THAN, value: 9}]}\n"
        "      tasks:\n"
        "        # streams: a\n"
        f"        - {{task_key: a, max_retries: -1, existing_cluster_id: c, {NOTEBOOK}}}\n"
    )
    report = check(tmp_path, job, rule, DEVELOPMENT)
    assert (report.findings, report.cannot_tell) == ((), ())


def test_a_variable_without_a_value_may_be_a_recipient(tmp_path: Path) -> None:
    job = tasks('task_key: a, max_retries: -1, email_notifications: {on_failure: ["${var.address}"]}')
    assert not check(tmp_path, job, "D404", "variables: {address: {}}\n").findings
    assert check(tmp_path, job, "D404", "variables: {address: {default: ''}}\n").findings


def test_recipients_that_tasks_share_need_one_task_with_a_rule(tmp_path: Path) -> None:
    recipients = "{on_streaming_backlog_exceeded: [a@company.com]}"
    health = "health: {rules: [{metric: STREAMING_BACKLOG_FILES, op: GREATER_THAN, value: 9}]}"
    shared = tasks(
        f"task_key: a, email_notifications: &all {recipients}",
        f"task_key: b, email_notifications: *all, {health}",
    )
    assert not check(tmp_path, shared, "D506").findings
    assert check(tmp_path, shared.replace("*all", recipients), "D506").findings
