"""Findings that a user has accepted until a date, with a reason, in the file preflight.yml."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from sensor_streams.errors import ConfigurationError
from sensor_streams.marked_yaml import Marked, load_marked, text_of
from sensor_streams.preflight.checks.registry import family_of
from sensor_streams.preflight.findings import Accepted, Finding, Report

# Next to databricks.yml; the deployment copies it next to sensors.yml.
ACCEPTED_FILE = "preflight.yml"
EVERY = "*"

_Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Acceptance(BaseModel):
    """An entry of the file. subject: exactly as in the finding, or `*`; until: the last day, in UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: _Text
    subject: _Text
    reason: _Text
    until: date

    def matches(self, finding: Finding) -> bool:
        """Return True if the entry accepts this finding."""
        return self.check == finding.check and self.subject in (finding.subject, EVERY)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    accepted: list[Acceptance] = []


def load_accepted(file: Path, checks: Collection[str] | None) -> list[Acceptance]:
    """Read the file. checks: all known ids; None to accept any id.

    Raises ConfigurationError with file, line and field of every problem: a wrong field, an unknown check, a duplicate
    entry, or a file that cannot be read.
    """
    marked = load_marked(text_of(file, "give the file of accepted findings"), str(file))
    try:
        entries = _File.model_validate(marked.content).accepted
    except ValidationError as error:
        raise ConfigurationError("\n".join(_problem(marked, file, one) for one in error.errors())) from None
    problems = []
    for index, entry in enumerate(entries):
        if checks is not None and entry.check not in checks:
            problems.append((index, "check", f"no check is called {entry.check}: docs/preflight.md lists them"))
        if any((entry.check, entry.subject) == (other.check, other.subject) for other in entries[:index]):
            problems.append((index, "subject", f"{entry.check} of {entry.subject} is a duplicate: remove one"))
    if problems:
        raise ConfigurationError(
            "\n".join(_at(marked, file, ("accepted", i, name), text) for i, name, text in problems)
        )
    return entries


def apply_acceptances(report: Report, acceptances: Sequence[Acceptance], today: date) -> Report:
    """Move the findings that are accepted today (UTC) to `accepted`. After the last day, a finding counts again.

    An acceptance is reported as unused only if its whole family ran and had every answer.
    """
    counting: list[Finding] = []
    accepted: list[Accepted] = []
    used: set[Acceptance] = set()
    for finding in report.findings:
        matching = [one for one in acceptances if one.matches(finding)]
        used.update(matching)
        latest = max(matching, key=lambda one: one.until, default=None)
        if latest is None:
            counting.append(finding)
        elif latest.until >= today:
            accepted.append(Accepted(finding, latest.reason, latest.until.isoformat()))
        else:
            expired = f"{finding.found} (accepted until {latest.until}, which has passed: {latest.reason})"
            counting.append(replace(finding, found=expired))
    complete = set(report.families) - {family_of(one.check) for one in report.unchecked}
    notes = [
        f"accepted, but not found: {one.check} of {one.subject} (until {one.until}): remove it from the file"
        for one in acceptances
        if one not in used and family_of(one.check) in complete
    ]
    return replace(report, findings=counting, accepted=accepted, notes=[*report.notes, *notes])


def _problem(marked: Marked, file: Path, problem: ErrorDetails) -> str:
    """Return the message for an error of pydantic."""
    where = tuple(problem["loc"])
    message = {
        "extra_forbidden": "unknown field; the fields are check, subject, reason, until",
        "missing": "is missing: add it",
        "string_too_short": "is empty: write it",
        "model_type": "write `accepted:` and a list below it, each entry with check, subject, reason, until",
        "list_type": "is not a list: write one, each entry with check, subject, reason, until",
    }.get(problem["type"], problem["msg"])
    if where[-1:] == ("until",) and problem["type"] != "missing":
        message = "is not a date: write 2026-12-31"
    if len(where) < 2 and problem["type"] == "extra_forbidden":
        message = "unknown field: write a list under accepted"
    return _at(marked, file, where, message)


def _at(marked: Marked, file: Path, where: tuple[int | str, ...], message: str) -> str:
    return f"{file} line {marked.line(where)}, {'.'.join(map(str, where)) or 'the whole file'}: {message}"
