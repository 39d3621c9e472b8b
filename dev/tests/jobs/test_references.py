"""Dynamic value references: resolved ones, other text, errors."""

from datetime import UTC, datetime

import pytest

from dabs_lab.jobs.dynamic_values import (
    OtherTask,
    RunContext,
    TaskContext,
    UnknownReferenceError,
    check,
    literal_braces,
    references,
    resolve,
)

# A Sunday.
START = datetime(2026, 3, 1, 9, 5, 7, 250000, UTC)
RUN = RunContext(
    job_id=11,
    job_name="my job",
    run_id=22,
    start_time=START,
    trigger_type="periodic",
    trigger_time=datetime(2026, 2, 27, 23, 59, tzinfo=UTC),
    parameters={"day": "today", "odd-name.x": "odd"},
    workspace_url="host",
)
TASK = TaskContext("second", 33, 2, {"first": OtherTask(31, "success", 4, {"rows": "7", "a b": "spaced"})})


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("{{job.id}}-{{job.name}}-{{job.run_id}}-{{job.repair_count}}", "11-my job-22-0"),
        ("{{job.start_time.iso_date}}", "2026-03-01"),
        ("{{job.start_time.iso_datetime}}", "2026-03-01T09:05:07"),
        ("{{job.start_time.iso_weekday}} {{job.start_time.is_weekday}}", "7 false"),
        ("{{job.start_time.year}}/{{job.start_time.month}}/{{job.start_time.day}}", "2026/3/1"),
        ("{{job.start_time.hour}}:{{job.start_time.minute}}:{{job.start_time.second}}", "9:5:7"),
        ("{{job.start_time.timestamp_ms}}", str(int(START.timestamp() * 1000))),
        ("{{job.trigger.type}} {{job.trigger.time.iso_date}}", "periodic 2026-02-27"),
        ("{{job.parameters.day}}{{job.parameters.`odd-name.x`}}", "todayodd"),
        ("{{task.name}} {{task.run_id}} {{task.execution_count}}", "second 33 2"),
        ("{{tasks.first.result_state}} {{tasks.first.run_id}} {{tasks.first.execution_count}}", "success 31 4"),
        ("{{tasks.`first`.values.rows}} {{tasks.first.values.`a b`}}", "7 spaced"),
        ("{{workspace.id}}@{{workspace.url}}", "0@host"),
    ],
)
def test_a_reference_is_resolved(text: str, resolved: str) -> None:
    assert resolve(text, RUN, TASK) == resolved
    assert literal_braces(text) == []


@pytest.mark.parametrize(
    "text", ["{{my.value}", "{{my.value}}", "{{ job.id }}", "{{job.}}", "{{}}", "{job.id}", "{{job.id + 1}}", "plain"]
)
def test_text_that_is_not_a_reference_stays_unchanged(text: str) -> None:
    assert resolve(text, RUN, TASK) == text
    assert literal_braces(text) == ([text] if text.startswith("{{") and text.endswith("}}") else [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{job.naem}}", "after job write one of id, name"),
        ("{{job}}", "after job"),
        ("{{job.id.more}}", "too many parts"),
        ("{{job.start_time}}", "after job.start_time write one of iso_weekday"),
        ("{{job.start_time.century}}", "after job.start_time"),
        ("{{job.trigger.file_arrival.location}}", "one of type, time"),
        ("{{job.trigger.type.x}}", "too many parts"),
        ("{{job.parameters}}", "too few parts"),
        ("{{job.parameters.dya}}", "unknown job parameter .known: day"),
        ("{{task.notebook_path}}", "after task write one of"),
        ("{{tasks.third.result_state}}", "not a dependency of this task .known: first"),
        ("{{tasks.first.values}}", "too few parts"),
        ("{{tasks.first.values.lines}}", "did not set this value"),
        ("{{tasks.first.colour}}", "after tasks.first write one of"),
        ("{{workspace.name}}", "one of id, url"),
        ("{{input}}", "for-each"),
        ("{{run_id}}", "legacy syntax: write {{task.run_id}}"),
    ],
)
def test_an_unknown_name_in_a_known_namespace_is_an_error(text: str, message: str) -> None:
    with pytest.raises(UnknownReferenceError, match=message):
        resolve(text, RUN, TASK)


@pytest.mark.parametrize("text", ["{{job.parameters.day}}", "{{task.name}}", "{{tasks.first.run_id}}"])
def test_a_job_parameter_cannot_refer_to_tasks_or_parameters(text: str) -> None:
    with pytest.raises(UnknownReferenceError):
        resolve(text, RUN, None)


def test_a_name_with_other_characters_needs_backticks() -> None:
    assert resolve("{{job.parameters.odd-name.x}}", RUN, TASK) == "{{job.parameters.odd-name.x}}"


def test_a_reference_is_checked_before_the_run() -> None:
    (found,) = references("{{tasks.first.values.rows}}")
    check(found, set(), {"first"})
    with pytest.raises(UnknownReferenceError):
        check(found, set(), set())
