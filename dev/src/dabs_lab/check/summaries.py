"""Summaries of a report that all formats share."""

from collections.abc import Sequence

from dabs_lab.check.engine import CheckReport, Unanswered


def count(number: int, noun: str) -> str:
    """Return a number with its noun: 1 finding, 2 findings."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def totals(report: CheckReport) -> str:
    """Return one line: findings, suppressed findings, targets, and places where rules cannot tell."""
    errors = sum(one.rule.severity == "error" for one in report.findings)
    warnings = len(report.findings) - errors
    parts = [f"{count(len(report.findings), 'finding')} ({count(errors, 'error')}, {count(warnings, 'warning')})"]
    parts.append(f"{report.suppressed} suppressed")
    parts.append(f"{len(report.cannot_tell)} cannot tell")
    return f"{', '.join(parts)}; {count(len(report.rules), 'rule')}, targets: {', '.join(report.targets)}"


def unanswered_groups(report: CheckReport) -> list[tuple[str, tuple[str, ...], list[Unanswered]]]:
    """Return what is missing, the rules that need it, and one entry for each place."""
    found: dict[str, tuple[dict[str, None], dict[str, Unanswered]]] = {}
    for one in report.cannot_tell:
        rules, places = found.setdefault(one.missing, ({}, {}))
        rules[one.rule.id] = None
        places[one.place.path] = places.get(one.place.path, one).merged(one.targets, one.tasks)
    return [(missing, tuple(rules), list(places.values())) for missing, (rules, places) in found.items()]


def in_targets(targets: Sequence[str], report: CheckReport) -> str:
    """Return ` [dev, prod]` for a finding that only some of several checked targets have, or an empty text."""
    return f" [{', '.join(targets)}]" if targets and len(report.targets) > 1 else ""
