"""What preflight says: findings, things that could not be checked, and the report of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

# error: data is lost, doubled or written at a wrong place, or the task fails. warning: that may come.
Severity = Literal["error", "warning"]

HEALTHY, FOUND, NOT_CHECKED = 0, 1, 4


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    check: its stable id, `family.what` (see `checks.catalogue`); subject: the stream, table, volume or principal;
    found, expected: what is and what should be, each a short text; remedy: what to do, in words; command: a command
    or statement to copy, where one exists.
    """

    check: str
    severity: Severity
    subject: str
    found: str
    expected: str
    remedy: str
    command: str | None = None


@dataclass(frozen=True)
class Unchecked:
    """What could not be checked, and why. Never a pass. check: the id of a check or of a whole family."""

    check: str
    subject: str
    because: str


@dataclass(frozen=True)
class Accepted:
    """A finding that somebody has accepted, with a reason and until when (ISO date)."""

    finding: Finding
    reason: str
    until: str


@dataclass(frozen=True)
class Report:
    """families: family of checks → on how many objects it looked; seconds: how long all took; notes: what is to be
    said beside, such as an acceptance that is not needed any more."""

    findings: Sequence[Finding]
    unchecked: Sequence[Unchecked]
    accepted: Sequence[Accepted]
    families: Mapping[str, int]
    seconds: float
    notes: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """0 healthy, 1 findings, 4 nothing found but something could not be checked."""
        if self.findings:
            return FOUND
        return NOT_CHECKED if self.unchecked else HEALTHY

    @property
    def errors(self) -> Sequence[Finding]:
        """The findings with which no stream should start."""
        return [finding for finding in self.findings if finding.severity == "error"]
