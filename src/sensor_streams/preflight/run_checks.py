"""Run the checks of each family on the facts. A query without an answer is never a pass."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sensor_streams.preflight.checks.registry import CHECKS, Check, family_of
from sensor_streams.preflight.facts import Facts
from sensor_streams.preflight.findings import Finding, Report, Unchecked


@dataclass(frozen=True)
class Outcome:
    """Result of one family."""

    family: str
    objects: int
    findings: Sequence[Finding]
    unchecked: Sequence[Unchecked]


def _sink_count(facts: Facts) -> int:
    return sum(len(stream.sinks) for stream in facts.expected.streams)


# Family → its number of objects, in the order of the report: problems that hide others come first.
OBJECTS: Mapping[str, Callable[[Facts], int]] = {
    "location": lambda facts: len(facts.entries),
    "source": lambda facts: sum(len(stream.sources) for stream in facts.expected.streams),
    "checkpoint": lambda facts: len(facts.checkpoints),
    "sink": _sink_count,
    "schema": _sink_count,
    "rights": lambda facts: len(facts.rights),
    "model": lambda facts: len(facts.models),
    "platform": lambda facts: 0 if facts.platform is None else 1,
}


def run_checks(
    facts: Facts,
    unanswered: Iterable[Unchecked],
    on_family: Callable[[Outcome], None] | None = None,
    checks: Mapping[str, Check] = CHECKS,
) -> Report:
    """Return each finding once: errors before warnings, then in the order of the families.

    unanswered: queries without an answer. A family without objects is left out, unless it has findings or unanswered
    queries. on_family: called after each family.
    """
    unchecked = list(dict.fromkeys(unanswered))
    found: list[Finding] = []
    families: dict[str, int] = {}
    for family, objects in OBJECTS.items():
        # A function that is registered for several ids runs once.
        functions = dict.fromkeys(check.run for id, check in checks.items() if family_of(id) == family)
        findings = dict.fromkeys(finding for function in functions for finding in function(facts))
        new = [finding for finding in findings if finding not in found]
        missing = [one for one in unchecked if family_of(one.check) == family]
        found += new
        if objects(facts) or new or missing:
            families[family] = objects(facts)
            if on_family is not None:
                on_family(Outcome(family, families[family], new, missing))
    found.sort(key=lambda finding: finding.severity != "error")
    return Report(found, unchecked, families)
