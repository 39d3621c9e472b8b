"""Findings that somebody has accepted, in a file with a reason and until when; and what then is left to tell."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from sensor_streams.errors import ConfigurationError
from sensor_streams.marked_yaml import Marked, load_marked, text_of
from sensor_streams.preflight.findings import Accepted, Finding, Unchecked
from sensor_streams.preflight.run_checks import family_of

# Beside databricks.yml; the deployment brings it to where sensors.yml is.
ACCEPTED_FILE = "preflight.yml"
EVERY = "*"

_Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Acceptance(BaseModel):
    """One entry of the file: check: an id; subject: a finding's exact one, or `*`; until: the last day that it holds,
    by UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: _Text
    subject: _Text
    reason: _Text
    until: date

    def takes(self, finding: Finding) -> bool:
        """True when the finding is the one that is meant."""
        return self.check == finding.check and self.subject in (finding.subject, EVERY)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    accepted: list[Acceptance] = []


@dataclass(frozen=True)
class Judged:
    """findings: those that count; accepted: those that do not, for now; notes: what is to be said of the file."""

    findings: Sequence[Finding]
    accepted: Sequence[Accepted]
    notes: Sequence[str]


def load_accepted(file: Path, checks: Collection[str]) -> list[Acceptance]:
    """Read the file; `checks`: the ids that there are.

    Raises ConfigurationError, every problem with file, line and field: also for an unknown check, for an entry that
    stands twice, and for a file that cannot be read.
    """
    marked = load_marked(text_of(file, "give the file of accepted findings"), str(file))
    try:
        entries = _File.model_validate(marked.content).accepted
    except ValidationError as error:
        raise ConfigurationError("\n".join(_told(marked, file, problem) for problem in error.errors())) from None
    problems = []
    for at, entry in enumerate(entries):
        if entry.check not in checks:
            problems.append((at, "check", f"no check is called {entry.check}: docs/preflight.md lists them"))
        if any((entry.check, entry.subject) == (other.check, other.subject) for other in entries[:at]):
            problems.append((at, "subject", f"{entry.check} of {entry.subject} stands twice: remove one"))
    if problems:
        raise ConfigurationError(
            "\n".join(_at(marked, file, ("accepted", at, field), message) for at, field, message in problems)
        )
    return entries


def judge(
    findings: Sequence[Finding],
    unchecked: Sequence[Unchecked],
    acceptances: Sequence[Acceptance],
    today: date,
    families: Collection[str],
) -> Judged:
    """Sort findings into those that count and those that are accepted today (UTC).

    One whose acceptance has ended counts again and says so. families: those that were looked at: an acceptance that
    nothing was found for is told as unused only when its check was done, and done in full.
    """
    counting: list[Finding] = []
    accepted: list[Accepted] = []
    used: set[Acceptance] = set()
    for finding in findings:
        taking = [one for one in acceptances if one.takes(finding)]
        used.update(taking)
        # Of two that take it the one that holds longer counts.
        best = max(taking, key=lambda one: one.until, default=None)
        if best is None:
            counting.append(finding)
        elif best.until >= today:
            accepted.append(Accepted(finding, best.reason, best.until.isoformat()))
        else:
            ended = f"{finding.found} (it was accepted until {best.until}, that has ended: {best.reason})"
            counting.append(replace(finding, found=ended))
    not_done = {family_of(one.check) for one in unchecked}
    done = set(families) - not_done
    unused = [one for one in acceptances if one not in used and family_of(one.check) in done]
    notes = [
        f"accepted, and not found: {one.check} of {one.subject} (until {one.until}): remove it from the file"
        for one in unused
    ]
    return Judged(counting, accepted, notes)


def _told(marked: Marked, file: Path, problem: ErrorDetails) -> str:
    """A problem that pydantic found, by line."""
    where = tuple(problem["loc"])
    message = {
        "extra_forbidden": "there is no such field; there are: check, subject, reason, until",
        "missing": "is missing: add it",
        "string_too_short": "is empty: write it",
        "model_type": "write `accepted:` and a list below it, each entry with check, subject, reason, until",
        "list_type": "is no list: write one, each entry with check, subject, reason, until",
    }.get(problem["type"], problem["msg"])
    if where[-1:] == ("until",) and problem["type"] != "missing":
        message = "is no date: write 2026-12-31"
    if len(where) < 2 and problem["type"] == "extra_forbidden":
        message = "there is no such field: write a list under accepted"
    return _at(marked, file, where, message)


def _at(marked: Marked, file: Path, where: tuple[int | str, ...], message: str) -> str:
    return f"{file} line {marked.line(where)}, {'.'.join(map(str, where)) or 'the whole file'}: {message}"
