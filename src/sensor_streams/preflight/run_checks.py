"""Runs the checks over the facts; what was asked for and got no answer is never a pass."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sensor_streams.preflight.facts import Facts
from sensor_streams.preflight.findings import Finding, Unchecked

Check = Callable[[Facts], Iterable[Finding]]


@dataclass(frozen=True)
class Family:
    """Checks whose ids begin with one name; objects: on how many things of the facts they look, 0 for none."""

    name: str
    checks: Sequence[Check]
    objects: Callable[[Facts], int]


@dataclass(frozen=True)
class Outcome:
    """What one family has come to."""

    family: str
    objects: int
    findings: Sequence[Finding]
    unchecked: Sequence[Unchecked]


@dataclass(frozen=True)
class Checked:
    """What all have come to; families: name → on how many objects it looked."""

    findings: Sequence[Finding]
    unchecked: Sequence[Unchecked]
    families: Mapping[str, int]


def run_checks(
    facts: Facts,
    families: Sequence[Family],
    lacking: Iterable[Unchecked],
    on_family: Callable[[Outcome], None] | None = None,
) -> Checked:
    """Every family's findings, errors before warnings, else in the order of the families.

    lacking: the questions that got no answer. A family that has nothing to look at is left out, unless an answer is
    lacking there. What two checks came to is told once.
    """
    unchecked = list(dict.fromkeys(lacking))
    found: list[Finding] = []
    looked: dict[str, int] = {}
    for family in families:
        own = [finding for check in family.checks for finding in check(facts)]
        new = [finding for finding in dict.fromkeys(own) if finding not in found]
        missing = [one for one in unchecked if family_of(one.check) == family.name]
        objects = family.objects(facts)
        found += new
        if objects or new or missing:
            looked[family.name] = objects
            if on_family is not None:
                on_family(Outcome(family.name, objects, new, missing))
    found.sort(key=lambda finding: finding.severity != "error")
    return Checked(found, unchecked, looked)


def family_of(check: str) -> str:
    """The family of a check's id; a family itself is its own."""
    return check.partition(".")[0]
