"""Report as text: place, message, the line with the place marked, and the fix."""

from rich.console import Console
from rich.text import Text

from dabs_lab.check.declaration import SAID_BY_COMMENTS
from dabs_lab.check.engine import CheckReport
from dabs_lab.check.file_texts import value_end
from dabs_lab.check.places import Place
from dabs_lab.check.summaries import in_targets, totals, unanswered_groups

_STYLES = {"error": "bold red", "warning": "bold yellow"}
_HOW = "; say it in a comment at the task (docs/check.md): # streams: a, b   # checkpoint: path   # endless"


def print_text(report: CheckReport, console: Console) -> None:
    """Print a report; colours only on a terminal."""

    def line(*parts: str | tuple[str, str]) -> None:
        console.print(Text.assemble(*parts), highlight=False, soft_wrap=True)

    for note in report.notes:
        where = f"{report.file(note.positions[0])}:{note.positions[0].line}: " if note.positions else ""
        line(("note: ", "bold"), f"{where}{note.summary}")
    for one in report.findings:
        line(
            (_where(report, one.place), "bold"),
            " ",
            (one.rule.severity, _STYLES[one.rule.severity]),
            f" {one.rule.id} {one.message}",
            (in_targets(one.targets, report), "dim"),
        )
        is_hidden = report.resolved or one.rule.confidential
        excerpt = "" if is_hidden else report.texts.of(one.place.position.file).excerpt(one.place.position)
        if excerpt:
            start, number = one.place.position.column - 1, str(one.place.position.line)
            marks = "^" * max(value_end(excerpt, start) - start, 1)
            line((f"  {number} | ", "dim"), excerpt)
            line((f"  {' ' * len(number)} | ", "dim"), " " * start, (marks, _STYLES[one.rule.severity]))
        line(("  fix: ", "dim"), one.rule.fix)
    for missing, rules, places in unanswered_groups(report):
        how = _HOW if missing in SAID_BY_COMMENTS else ""
        line(("cannot tell", "bold"), f" {missing} ({', '.join(rules)}){how}")
        for other in places:
            path = "" if report.resolved else f" {other.where}"
            line(f"  {_where(report, other.place)}{path}{in_targets(other.targets, report)}")
    line((totals(report), "bold"))


def _where(report: CheckReport, place: Place) -> str:
    position = place.position
    if report.resolved:
        return f"{position.file}: {place.path}:"
    return f"{report.file(position)}:{position.line}:{position.column}:"
