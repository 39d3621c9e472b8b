"""A finding in words: for a terminal, a log and an error alike."""

from collections.abc import Iterator

from sensor_streams.preflight.findings import Finding

DOCS = "docs/preflight.md"


def docs_of(check: str) -> str:
    """The page and section that tells a check's story."""
    return f"{DOCS}#{check.replace('.', '-')}"


def described(finding: Finding) -> Iterator[str]:
    """A finding's lines. The command stands on a line of its own, from its begin, so that it can be copied."""
    yield f"{finding.severity} {finding.check}, {finding.subject}"
    for name, text in (("found", finding.found), ("expected", finding.expected), ("to do", finding.remedy)):
        first, *more = text.splitlines() or [""]
        yield f"  {name + ':':<10}{first}"
        yield from (f"  {'':<10}{line}" for line in more)
    if finding.command is not None:
        yield from finding.command.splitlines()
    yield f"  {'docs:':<10}{docs_of(finding.check)}"


def in_one_line(finding: Finding) -> str:
    """The same for a log, without the command."""
    found, expected = (" ".join(text.split()) for text in (finding.found, finding.expected))
    return f"{finding.check}, {finding.subject}: {found}; expected: {expected}; {finding.remedy}"
