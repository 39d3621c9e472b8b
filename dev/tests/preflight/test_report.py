"""Reports: every finding and unchecked fact appears, commands can be copied, programs get one JSON object."""

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from sensor_streams.preflight.checks.registry import Check, check, family_of
from sensor_streams.preflight.facts import CheckpointFacts, Entry, Expected, Facts
from sensor_streams.preflight.findings import Accepted, Finding, Report, Unchecked
from sensor_streams.preflight.run_checks import OBJECTS, Outcome, run_checks
from sensor_streams_dev.preflight.checks import CHECKS
from sensor_streams_dev.preflight.terminal_report import JsonObject, Lines, Screen, as_object

HEAD = {"job": "single_task", "target": "dev", "where": "here"}
COMMAND = "ALTER TABLE `main`.`plant`.`device_features` SET LOCATION 's3://a/" + "very-long/" * 20 + "device_features'"
MOVED = Finding(
    "location.moved", "error", "device_features", "entry: s3://b\n- a\n+ b", "s3://a", "set the entry right", COMMAND
)
LAGS = Finding("checkpoint.temporary", "warning", "readings", "/tmp/x", "a volume", "move it [/x] :bug:")
FACTS = Facts(
    Expected("main", "plant", None, "/landing", "/checkpoints", []),
    dict.fromkeys("abc", Entry("a", "view", None)),
    {},
    {"readings": CheckpointFacts("/checkpoints/readings", None, (), (), (), None)},
)
AWAY = [Unchecked("rights", f"table {name}", "HTTP 503") for name in ("a", "b")]


def checks_that_find(*findings: Finding) -> dict[str, Check]:
    def check(finding: Finding) -> Check:
        return Check(finding.severity, "", lambda _: [finding, finding])

    return {finding.check: check(finding) for finding in findings}


def report(*findings: Finding, unchecked: tuple[Unchecked, ...] = ()) -> Report:
    return Report(findings, unchecked, {"location": 8, "checkpoint": 8}, seconds=1.25)


def printed(value: Report, *, terminal: bool = False, width: int = 60) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, emoji=False, force_terminal=terminal, color_system=None)
    (Screen if terminal else Lines)(console).report(value, HEAD)
    return out.getvalue().splitlines()


def test_errors_come_first_and_a_repeated_finding_appears_once() -> None:
    checked = run_checks(FACTS, [], checks=checks_that_find(LAGS, MOVED))
    assert checked.findings == [MOVED, LAGS]
    assert checked.families == {"checkpoint": 1, "location": 3}


def test_a_family_without_objects_is_not_called_healthy() -> None:
    outcomes: list[Outcome] = []
    checked = run_checks(FACTS, [*AWAY, AWAY[0]], outcomes.append, {})
    assert checked.families == {"location": 3, "checkpoint": 1, "rights": 0}
    assert checked.unchecked == AWAY, "each once"
    assert [(one.family, one.unchecked) for one in outcomes] == [
        ("location", []),
        ("checkpoint", []),
        ("rights", AWAY),
    ]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (report(), 0),
        (report(LAGS), 1),
        (report(MOVED, unchecked=(AWAY[0],)), 1),
        (report(unchecked=(AWAY[0],)), 4),
        (replace(report(), accepted=[Accepted(MOVED, "r", "2026-12-31")]), 0),
    ],
)
def test_the_exit_code_is_0_only_without_findings_and_unchecked_facts(value: Report, code: int) -> None:
    assert value.exit_code == code
    assert as_object(value, HEAD)["exit_code"] == code


@pytest.mark.parametrize("terminal", [False, True])
def test_a_command_is_one_unwrapped_line(terminal: bool) -> None:
    lines = printed(report(MOVED), terminal=terminal)
    assert COMMAND in lines
    assert lines[0] == "error location.moved, device_features"
    assert lines[1:4] == ["  found:    entry: s3://b", "            - a", "            + b"]
    assert "  docs:     docs/preflight.md#location-moved" in lines


def test_names_with_brackets_and_colons_are_printed_unchanged() -> None:
    assert "  to do:    move it [/x] :bug:" in printed(report(LAGS))


def test_unchecked_facts_are_grouped_by_cause() -> None:
    *_, cause, last = printed(report(unchecked=tuple(AWAY)))
    assert cause == "could not be checked, because HTTP 503: rights of table a, rights of table b"
    assert last == "2 could not be checked (16 objects checked in 1.2 s)"


def test_a_healthy_report_is_one_line() -> None:
    assert printed(report()) == ["healthy (16 objects checked in 1.2 s)"]


def test_the_live_table_shows_each_family() -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=100, force_terminal=True, color_system=None))
    with screen.open():
        screen.step("starting Spark")
        screen.family(Outcome("location", 8, [MOVED], []))
        screen.family(Outcome("rights", 3, [], AWAY))
        screen.family(Outcome("model", 2, [], []))
    for text in ("starting Spark …", "1 found", "2 could not be checked", "healthy"):
        assert text in out.getvalue()


def test_json_output_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    value = replace(
        report(MOVED, unchecked=(AWAY[0],)), accepted=[Accepted(LAGS, "moved in July", "2026-07-31")], notes=["n"]
    )
    JsonObject().report(value, HEAD)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    moved = {
        "check": "location.moved",
        "severity": "error",
        "subject": "device_features",
        "found": "entry: s3://b\n- a\n+ b",
        "expected": "s3://a",
        "remedy": "set the entry right",
        "command": COMMAND,
        "docs": "docs/preflight.md#location-moved",
    }
    assert found["findings"] == [moved]
    assert found["unchecked"] == [{"check": "rights", "subject": "table a", "because": "HTTP 503"}]
    (accepted,) = found["accepted"]
    assert (accepted["finding"]["check"], accepted["until"]) == ("checkpoint.temporary", "2026-07-31")
    assert accepted["finding"]["command"] is None
    rest = {name: found[name] for name in ("job", "target", "where", "exit_code", "seconds", "families", "notes")}
    assert rest == {
        **HEAD,
        "exit_code": 1,
        "seconds": 1.25,
        "families": {"location": 8, "checkpoint": 8},
        "notes": ["n"],
    }


def test_accepted_findings_are_still_reported() -> None:
    value = replace(report(), accepted=[Accepted(LAGS, "moved in July", "2026-07-31")])
    assert printed(value)[0] == "accepted until 2026-07-31: checkpoint.temporary, readings: moved in July"


def test_every_registered_check_belongs_to_a_family() -> None:
    assert {family_of(one) for one in CHECKS} == set(OBJECTS)


def test_an_id_cannot_be_registered_twice() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        check("location.moved", "error", "a second one")(lambda _: [])
