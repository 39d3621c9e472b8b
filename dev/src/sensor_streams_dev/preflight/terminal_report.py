"""Output of the command: a live table, plain lines or one JSON object, then the report."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dabs_lab.runner.console import say
from sensor_streams.preflight.findings import Finding, Report, described, docs_of
from sensor_streams.preflight.run_checks import Outcome

_STYLES = {"error": "bold red", "warning": "yellow"}
_UNCHECKED = "could not be checked"


class Output(Protocol):
    """Output during a preflight and at its end."""

    def open(self) -> AbstractContextManager[object]:
        """Return a context for the whole preflight."""

    def step(self, text: str) -> None:
        """Show the current step."""

    def family(self, outcome: Outcome) -> None:
        """Show the result of a family."""

    def report(self, report: Report, head: Mapping[str, str]) -> None:
        """Show the report. head: job, target and place."""


class JsonObject:
    """One JSON object at the end."""

    def open(self) -> AbstractContextManager[object]:
        """Return an empty context."""
        return nullcontext()

    def step(self, text: str) -> None:
        """Print nothing."""

    def family(self, outcome: Outcome) -> None:
        """Print nothing."""

    def report(self, report: Report, head: Mapping[str, str]) -> None:
        """Print the object."""
        print(json.dumps(as_object(report, head)), flush=True)


class Lines:
    """One line for each step, if the output is not a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def open(self) -> AbstractContextManager[object]:
        """Return an empty context."""
        return nullcontext()

    def step(self, text: str) -> None:
        """Print a line."""
        say(self.console, text)

    def family(self, outcome: Outcome) -> None:
        """Print a line."""
        say(self.console, f"{outcome.family:<11} {outcome.objects:>3} checked: {state(outcome)}")

    def report(self, report: Report, head: Mapping[str, str]) -> None:
        """Print the report."""
        for line, style in lines(report):
            # Not wrapped, so that a command can be copied.
            self.console.print(Text(line, style), soft_wrap=True)


class Screen(Lines):
    """A live table of the families, which stays above the report."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(console=console, refresh_per_second=4)
        self._outcomes: list[Outcome] = []

    def open(self) -> AbstractContextManager[object]:
        """Return the context of the table."""
        return self._live

    def step(self, text: str) -> None:
        """Show the step under the table."""
        below = [Text(f"{text} …", "dim")] if text else []
        self._live.update(Group(*([table(self._outcomes)] if self._outcomes else []), *below), refresh=True)

    def family(self, outcome: Outcome) -> None:
        """Add a row."""
        self._outcomes.append(outcome)
        self.step("")


def table(outcomes: Sequence[Outcome]) -> Table:
    """Return a table of families with their number of objects and result."""
    found = Table("checks", "objects", "state")
    for one in outcomes:
        errors = any(finding.severity == "error" for finding in one.findings)
        style = _STYLES["error" if errors else "warning"] if one.findings or one.unchecked else "green"
        found.add_row(one.family, str(one.objects), Text(state(one), style))
    return found


def state(outcome: Outcome) -> str:
    """Return the result of a family in words."""
    return _counts((len(outcome.findings), "found"), (len(outcome.unchecked), _UNCHECKED))


def _counts(*counts: tuple[int, str]) -> str:
    return ", ".join(f"{number} {what}" for number, what in counts if number) or "healthy"


def lines(report: Report) -> Iterator[tuple[str, str]]:
    """Yield the lines of the report with their styles; the last one is the summary."""
    for finding in report.findings:
        head, *rest = described(finding)
        yield head, _STYLES[finding.severity]
        yield from ((line, "") for line in rest)
    for one in report.accepted:
        yield f"accepted until {one.until}: {one.finding.check}, {one.finding.subject}: {one.reason}", "dim"
    # One line for each reason, not for each object.
    because: dict[str, list[str]] = defaultdict(list)
    for unchecked in report.unchecked:
        because[unchecked.because].append(f"{unchecked.check} of {unchecked.subject}")
    for reason, subjects in because.items():
        yield f"could not be checked, because {reason}: {', '.join(subjects)}", "yellow"
    for note in report.notes:
        yield note, "dim"
    yield ending(report), "bold"


def ending(report: Report) -> str:
    """Return the summary in one line."""
    errors = len(report.errors)
    warnings = len(report.findings) - errors
    counts = _counts(
        (errors, "error" if errors == 1 else "errors"),
        (warnings, "warning" if warnings == 1 else "warnings"),
        (len(report.accepted), "accepted"),
        (len(report.unchecked), _UNCHECKED),
    )
    return f"{counts} ({sum(report.families.values())} objects checked in {report.seconds:.1f} s)"


def as_object(report: Report, head: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of --json, as in docs/preflight.md."""
    return {
        **head,
        "exit_code": report.exit_code,
        "seconds": round(report.seconds, 3),
        "families": dict(report.families),
        "findings": [_object(finding) for finding in report.findings],
        "unchecked": [asdict(one) for one in report.unchecked],
        "accepted": [
            {"finding": _object(one.finding), "reason": one.reason, "until": one.until} for one in report.accepted
        ],
        "notes": list(report.notes),
    }


def _object(finding: Finding) -> dict[str, Any]:
    return {**asdict(finding), "docs": docs_of(finding.check)}
