"""Declaration of rules: one function with one decorator for each rule. See `rules/triggers.py` for examples."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dabs_lab.check.places import Place
from dabs_lab.check.views import TargetView, TaskView, View

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """A rule is broken at a place."""

    place: Place
    message: str


@dataclass(frozen=True)
class CannotTell:
    """A rule could not be checked at a place, because the bundle does not say `missing`: "which streams it runs".

    task: key of the task, whose job is the place: a report has one entry for each rule and job.
    """

    place: Place
    missing: str
    task: str = ""


Outcome = Finding | CannotTell
TargetCheck = Callable[[TargetView], Iterator[Outcome]]
BundleCheck = Callable[[Sequence[TargetView]], Iterator[Outcome]]

STREAMS, TRIGGER = "which streams it runs", "whether its trigger is endless or bounded"
IS_OF_A_STREAM = "whether its checkpoint is one of a stream"
IS_A_FOLDER = "whether its checkpoint path is a folder with one checkpoint for each stream"
# A comment at the task can say these.
SAID_BY_COMMENTS = (STREAMS, TRIGGER, IS_OF_A_STREAM, IS_A_FOLDER)


@dataclass(frozen=True)
class Rule:
    """Rule with its texts. `across`: it gets all checked targets at once, to compare them.

    check: None for the rules on suppressions, which the engine checks itself.
    """

    id: str
    name: str
    severity: Severity
    title: str
    reason: str
    source: str
    fix: str
    # False: the source does not state the fact, it is inferred. Such a rule is a warning.
    certain: bool
    check: TargetCheck | None = None
    across: BundleCheck | None = None
    # Its findings are shown without their line, which contains a secret.
    confidential: bool = False

    @property
    def group(self) -> str:
        """Return the prefix of the group's ids: D1 for D101."""
        return self.id[:2]


RULES: dict[str, Rule] = {}


def declare(found: Rule) -> None:
    """Add a rule to the list of all rules."""
    assert found.id not in RULES, f"two rules have the id {found.id}"
    assert found.certain or found.severity == "warning", f"{found.id}: a rule that is not certain is a warning"
    RULES[found.id] = found


def rule(
    *, id: str, name: str, severity: Severity, title: str, reason: str, source: str, fix: str, certain: bool = True
) -> Callable[[TargetCheck], TargetCheck]:
    """Return a decorator that declares a rule on one target; the function yields its outcomes."""

    def decorate(check: TargetCheck) -> TargetCheck:
        declare(Rule(id, name, severity, title, reason, source, fix, certain, check=check))
        return check

    return decorate


def rule_across_targets(
    *,
    id: str,
    name: str,
    severity: Severity,
    title: str,
    reason: str,
    source: str,
    fix: str,
    certain: bool = True,
    confidential: bool = False,
) -> Callable[[BundleCheck], BundleCheck]:
    """Return a decorator that declares a rule on all checked targets together, for example dev next to prod."""

    def decorate(check: BundleCheck) -> BundleCheck:
        declare(Rule(id, name, severity, title, reason, source, fix, certain, across=check, confidential=confidential))
        return check

    return decorate


def cannot_tell(view: View, missing: str) -> CannotTell:
    """Return that the bundle does not say something about a task, for example STREAMS."""
    if isinstance(view, TaskView):
        return CannotTell(view.job.at(), missing, view.key)
    return CannotTell(view.at(), missing)
