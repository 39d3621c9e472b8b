"""What one sees of a preflight: a live table while it looks, plain lines, or one JSON object; then what was found."""

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
from sensor_streams.preflight.findings import Finding, Report
from sensor_streams.preflight.report import described, docs_of
from sensor_streams.preflight.run_checks import Outcome

_STYLES = {"error": "bold red", "warning": "yellow"}


class Shown(Protocol):
    """What is told while it looks, and at the end."""

    def showing(self) -> AbstractContextManager[object]:
        """Open while it looks."""

    def doing(self, text: str) -> None:
        """What it does now."""

    def family(self, outcome: Outcome) -> None:
        """A family is done."""

    def report(self, report: Report, head: Mapping[str, str]) -> None:
        """The end. head: job, target and where it looked."""


class JsonObject:
    """One object at the end, for programs."""

    def showing(self) -> AbstractContextManager[object]:
        """Nothing to prepare."""
        return nullcontext()

    def doing(self, text: str) -> None:
        """Nothing."""

    def family(self, outcome: Outcome) -> None:
        """Nothing."""

    def report(self, report: Report, head: Mapping[str, str]) -> None:
        """Print it."""
        print(json.dumps(as_object(report, head)), flush=True)


class Lines:
    """A line for each step, where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def showing(self) -> AbstractContextManager[object]:
        """Nothing to prepare."""
        return nullcontext()

    def doing(self, text: str) -> None:
        """Tell it."""
        say(self.console, text)

    def family(self, outcome: Outcome) -> None:
        """Tell it."""
        say(self.console, f"{outcome.family:<11} {outcome.objects:>3} looked at: {state(outcome)}")

    def report(self, report: Report, head: Mapping[str, str]) -> None:
        """Tell all."""
        for line, style in lines(report):
            # Not wrapped: a command that is broken in two cannot be copied.
            self.console.print(Text(line, style), soft_wrap=True)


class Screen(Lines):
    """The table of families, renewed as they are done; it stays above what was found."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(console=console, refresh_per_second=4)
        self._outcomes: list[Outcome] = []

    def showing(self) -> AbstractContextManager[object]:
        """The table is there while this is open."""
        return self._live

    def doing(self, text: str) -> None:
        """Tell it under the table."""
        self._renew(text)

    def family(self, outcome: Outcome) -> None:
        """A line more."""
        self._outcomes.append(outcome)
        self._renew("")

    def _renew(self, text: str) -> None:
        below = [Text(f"{text} …", "dim")] if text else []
        self._live.update(Group(*([table(self._outcomes)] if self._outcomes else []), *below), refresh=True)


def table(outcomes: Sequence[Outcome]) -> Table:
    """The families that are done: on how many objects each looked, and what came of it."""
    found = Table("checks", "objects", "state")
    for one in outcomes:
        worst = next((finding.severity for finding in one.findings if finding.severity == "error"), "warning")
        style = _STYLES[worst] if one.findings or one.unchecked else "green"
        found.add_row(one.family, str(one.objects), Text(state(one), style))
    return found


def state(outcome: Outcome) -> str:
    """What came of a family, in words."""
    told = [
        f"{len(outcome.findings)} found" if outcome.findings else "",
        f"{len(outcome.unchecked)} could not be checked" if outcome.unchecked else "",
    ]
    return ", ".join(text for text in told if text) or "healthy"


def lines(report: Report) -> Iterator[tuple[str, str]]:
    """The report as lines, each with its style; the last one says how it ends."""
    for finding in report.findings:
        head, *rest = described(finding)
        yield head, _STYLES[finding.severity]
        yield from ((line, "") for line in rest)
    for one in report.accepted:
        yield f"accepted until {one.until}: {one.finding.check}, {one.finding.subject}: {one.reason}", "dim"
    # A workspace that is away is one thing to say, and not thirty.
    because: dict[str, list[str]] = defaultdict(list)
    for unchecked in report.unchecked:
        because[unchecked.because].append(f"{unchecked.check} of {unchecked.subject}")
    for reason, subjects in because.items():
        yield f"could not be checked, because {reason}: {', '.join(subjects)}", "yellow"
    for note in report.notes:
        yield note, "dim"
    yield ending(report), "bold"


def ending(report: Report) -> str:
    """How it ends, in one line."""
    errors = len(report.errors)
    warnings = len(report.findings) - errors
    told = [
        f"{errors} error{'s' if errors != 1 else ''}" if errors else "",
        f"{warnings} warning{'s' if warnings != 1 else ''}" if warnings else "",
        f"{len(report.accepted)} accepted" if report.accepted else "",
        f"{len(report.unchecked)} could not be checked" if report.unchecked else "",
    ]
    what = ", ".join(text for text in told if text) or "healthy"
    return f"{what} ({sum(report.families.values())} objects looked at in {report.seconds:.1f} s)"


def as_object(report: Report, head: Mapping[str, str]) -> dict[str, Any]:
    """The report for programs, in the form that docs/preflight.md describes."""
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
