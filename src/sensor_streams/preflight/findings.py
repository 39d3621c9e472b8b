"""Findings of preflight, the report that holds them, and their text for a terminal, a log and an error."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

# error: data is lost, duplicated or written to a wrong path, or the task fails. warning: this may happen later.
Severity = Literal["error", "warning"]

HEALTHY, FOUND, NOT_CHECKED = 0, 1, 4


@dataclass(frozen=True)
class Finding:
    """One problem. check: id of the check, `family.name`; subject: the stream, table, volume or principal; command: a
    command or statement to copy, where one exists."""

    check: str
    severity: Severity
    subject: str
    found: str
    expected: str
    remedy: str
    command: str | None = None


@dataclass(frozen=True)
class Unchecked:
    """A check without an answer, and the reason. Never a pass. check: id of a check or name of a family."""

    check: str
    subject: str
    because: str


@dataclass(frozen=True)
class Accepted:
    """A finding that a user has accepted, with the reason and the last day (ISO date)."""

    finding: Finding
    reason: str
    until: str


@dataclass(frozen=True)
class Report:
    """Result of a preflight. families: family of checks → number of objects checked; seconds: duration; notes: other
    messages, such as an acceptance that is no longer needed."""

    findings: Sequence[Finding]
    unchecked: Sequence[Unchecked]
    families: Mapping[str, int]
    accepted: Sequence[Accepted] = ()
    seconds: float = 0.0
    notes: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """0: healthy, 1: findings, 4: no findings but a check without an answer."""
        if self.findings:
            return FOUND
        return NOT_CHECKED if self.unchecked else HEALTHY

    @property
    def errors(self) -> Sequence[Finding]:
        """Findings of severity error."""
        return [finding for finding in self.findings if finding.severity == "error"]


def docs_of(check: str) -> str:
    """Return the page and section of the docs about a check."""
    return f"docs/preflight.md#{check.replace('.', '-')}"


def described(finding: Finding) -> Iterator[str]:
    """Yield the lines of a finding. The command starts at the beginning of a line, so that it can be copied."""
    yield f"{finding.severity} {finding.check}, {finding.subject}"
    for name, text in (("found", finding.found), ("expected", finding.expected), ("to do", finding.remedy)):
        first, *more = text.splitlines() or [""]
        yield f"  {name + ':':<10}{first}"
        yield from (f"  {'':<10}{line}" for line in more)
    if finding.command is not None:
        yield from finding.command.splitlines()
    yield f"  {'docs:':<10}{docs_of(finding.check)}"


def in_one_line(finding: Finding) -> str:
    """Return a finding as a line of a log, without the command."""
    found, expected = (" ".join(text.split()) for text in (finding.found, finding.expected))
    return f"{finding.check}, {finding.subject}: {found}; expected: {expected}; {finding.remedy}"
