"""What preflight tells: nothing is passed over, commands can be copied, programs get one object."""

import importlib
import io
import json
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from sensor_streams.preflight import checks
from sensor_streams.preflight.checks.registry import CHECKS
from sensor_streams.preflight.facts import Expected, Facts
from sensor_streams.preflight.families import FAMILIES
from sensor_streams.preflight.findings import Accepted, Finding, Report, Unchecked
from sensor_streams.preflight.run_checks import Family, Outcome, family_of, run_checks
from sensor_streams_dev.preflight.terminal_report import JsonObject, Lines, Screen, as_object

HEAD = {"job": "single_task", "target": "dev", "where": "here"}
COMMAND = "ALTER TABLE `main`.`plant`.`device_features` SET LOCATION 's3://a/" + "very-long/" * 20 + "device_features'"
MOVED = Finding(
    "location.moved", "error", "device_features", "entry: s3://b\n- a\n+ b", "s3://a", "set the entry right", COMMAND
)
LAGS = Finding("checkpoint.temporary", "warning", "readings", "/tmp/x", "a volume", "move it [/x] :bug:")
FACTS = Facts(Expected("main", "plant", None, "/landing", "/checkpoints", []), {}, {}, {})
AWAY = [Unchecked("rights", f"table {name}", "HTTP 503") for name in ("a", "b")]


def family(name: str, *findings: Finding, objects: int = 1) -> Family:
    def check(_: Facts) -> Iterator[Finding]:
        yield from findings

    return Family(name, (check,), lambda _: objects)


def report(*findings: Finding, unchecked: tuple[Unchecked, ...] = ()) -> Report:
    return Report(findings, unchecked, (), {"location": 8, "checkpoint": 8}, 1.25)


def told(value: Report, *, terminal: bool = False, width: int = 60) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, emoji=False, force_terminal=terminal, color_system=None)
    (Screen if terminal else Lines)(console).report(value, HEAD)
    return out.getvalue().splitlines()


def test_errors_come_first_and_a_finding_of_two_checks_is_told_once() -> None:
    checked = run_checks(FACTS, [family("checkpoint", LAGS, LAGS), family("location", MOVED, objects=3)], [])
    assert checked.findings == [MOVED, LAGS]
    assert checked.families == {"checkpoint": 1, "location": 3}


def test_a_family_that_has_nothing_to_look_at_is_not_called_healthy() -> None:
    outcomes: list[Outcome] = []
    families = [family("location"), family("rights", objects=0), family("model", objects=0)]
    checked = run_checks(FACTS, families, [*AWAY, AWAY[0]], outcomes.append)
    assert checked.families == {"location": 1, "rights": 0}
    assert checked.unchecked == AWAY, "each once"
    assert [(one.family, one.unchecked) for one in outcomes] == [("location", []), ("rights", AWAY)]


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
def test_the_exit_code_is_0_only_when_all_was_looked_at_and_nothing_counts(value: Report, code: int) -> None:
    assert value.exit_code == code
    assert as_object(value, HEAD)["exit_code"] == code


@pytest.mark.parametrize("terminal", [False, True])
def test_a_command_stands_whole_on_a_line_of_its_own(terminal: bool) -> None:
    lines = told(report(MOVED), terminal=terminal)
    assert COMMAND in lines
    assert lines[0] == "error location.moved, device_features"
    assert lines[1:4] == ["  found:    entry: s3://b", "            - a", "            + b"]
    assert "  docs:     docs/preflight.md#location-moved" in lines


def test_names_with_brackets_and_colons_are_told_as_they_are() -> None:
    assert "  to do:    move it [/x] :bug:" in told(report(LAGS))


def test_what_could_not_be_checked_is_told_by_its_cause() -> None:
    *_, cause, last = told(report(unchecked=tuple(AWAY)))
    assert cause == "could not be checked, because HTTP 503: rights of table a, rights of table b"
    assert last == "2 could not be checked (16 objects looked at in 1.2 s)"


def test_a_healthy_report_is_one_line() -> None:
    assert told(report()) == ["healthy (16 objects looked at in 1.2 s)"]


def test_the_table_tells_each_family_while_it_looks() -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=100, force_terminal=True, color_system=None))
    with screen.showing():
        screen.doing("starting Spark")
        screen.family(Outcome("location", 8, [MOVED], []))
        screen.family(Outcome("rights", 3, [], AWAY))
        screen.family(Outcome("model", 2, [], []))
    for text in ("starting Spark …", "1 found", "2 could not be checked", "healthy"):
        assert text in out.getvalue()


def test_programs_get_one_object(capsys: pytest.CaptureFixture[str]) -> None:
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
    told = {name: found[name] for name in ("job", "target", "where", "exit_code", "seconds", "families", "notes")}
    assert told == {
        **HEAD,
        "exit_code": 1,
        "seconds": 1.25,
        "families": {"location": 8, "checkpoint": 8},
        "notes": ["n"],
    }


def test_what_is_accepted_is_still_told() -> None:
    value = replace(report(), accepted=[Accepted(LAGS, "moved in July", "2026-07-31")])
    assert told(value)[0] == "accepted until 2026-07-31: checkpoint.temporary, readings: moved in July"


def test_every_module_of_checks_belongs_to_a_family_and_every_id_too() -> None:
    listed = {check.__module__ for family in FAMILIES for check in family.checks}
    modules = [
        importlib.import_module(f"{checks.__name__}.{one.name}") for one in pkgutil.iter_modules(checks.__path__)
    ]
    assert {module.__name__ for module in modules if hasattr(module, "check")} == listed
    assert {family_of(check) for check in CHECKS} == {family.name for family in FAMILIES}
