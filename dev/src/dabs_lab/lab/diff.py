"""Compare two results of the lab beyond noise.

A verdict is compared by the worst of all seeds. A figure that has a value in one result only, or was never reached
there, differs in kind: that is always reported. Other figures are compared as ranges over the seeds:

- Several seeds in both results: the ranges are further apart than the wider of them.
- One seed in a result: seconds differ by more than 50 % and 2 s, megabytes by more than 25 % and 100 MB.
- Counts: no value of one result is in the range of the other; a loss that was 0 and is not is always reported.
"""

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dabs_lab.lab.figures import FIGURES, NEVER, Figure, Unit, Value, badness, worst_verdict
from dabs_lab.lab.results import Cell, Results, Verdict

# Relative and absolute part of the greatest difference between single seeds that is noise.
_NOISE = {Unit.SECONDS: (0.5, 2.0), Unit.MEGABYTES: (0.25, 100.0)}
# A clock of the lab reads states several times per second, so that two seeds may agree by chance.
_SMALLEST = {Unit.SECONDS: 0.5, Unit.MEGABYTES: 20.0}
ABSENT = "not measured"
_JUDGED = {True: ("worse: ", "red"), False: ("better: ", "green"), None: ("", "")}


class Difference(BaseModel):
    """A difference of a figure between two results; before and after: its values, from good to bad, one per seed."""

    model_config = ConfigDict(frozen=True)

    incident: str
    shape: str
    # Id of a figure, `verdict` or `person`.
    figure: str
    before: Sequence[float | str | None]
    after: Sequence[float | str | None]
    # None for a count, of which neither more nor less is better.
    worse: bool | None
    why: str


class Differences(BaseModel):
    """Differences of two results. notes: what makes the results hard to compare."""

    model_config = ConfigDict(frozen=True)

    notes: Sequence[str]
    records: Sequence[Difference]

    def as_dict(self) -> dict[str, object]:
        """Return an object for JSON."""
        return self.model_dump(mode="json")


def differences(before: Results, after: Results) -> Differences:
    """Return the differences beyond noise, in the order of the incidents and shapes of the results."""
    keys = dict.fromkeys((cell.incident, cell.shape) for results in (after, before) for cell in results.cells)
    records = [
        record
        for incident, shape in keys
        for record in _place(incident, shape, before.find(incident, shape), after.find(incident, shape))
    ]
    return Differences(notes=list(_notes(before, after)), records=records)


def print_differences(found: Differences, console: Console) -> None:
    """Print a table of the differences, or that none was found."""
    for note in found.notes:
        console.print(f"note: {note}", markup=False, highlight=False)
    if not found.records:
        console.print("no difference beyond noise")
        return
    table = Table("incident", "shape", "figure", "before", "after", "", box=None, header_style="bold")
    for record in found.records:
        judged, style = _JUDGED[record.worse]
        columns = (record.incident, record.shape, record.figure, _words(record.before), _words(record.after))
        table.add_row(*map(Text, columns), Text(judged + record.why, style))
    console.print(table)


def _notes(before: Results, after: Results) -> Iterator[str]:
    pair = before.machine, after.machine
    for name, values in (
        ("time scale", [machine.time_scale for machine in pair]),
        ("cores", [machine.cores for machine in pair]),
        ("memory in GB", [machine.memory_gb for machine in pair]),
        ("system", [machine.system for machine in pair]),
    ):
        if values[0] != values[1]:
            yield f"{name}: {values[0]} before, {values[1]} after; times and memory may differ for this reason"
    for name in sorted({*pair[0].versions, *pair[1].versions}):
        old, new = (machine.versions.get(name, "none") for machine in pair)
        if old != new:
            yield f"{name}: {old} before, {new} after"


def _place(incident: str, shape: str, before: Sequence[Cell], after: Sequence[Cell]) -> Iterator[Difference]:
    def record(
        figure: str, old: Sequence[float | str | None], new: Sequence[float | str | None], worse: bool | None, why: str
    ) -> Difference:
        return Difference(incident=incident, shape=shape, figure=figure, before=old, after=new, worse=worse, why=why)

    if not before or not after:
        old, new = ([worst_verdict(cells).value] if cells else [ABSENT] for cells in (before, after))
        yield record("verdict", old, new, not after, "no cell before" if after else "no cell after")
        return
    verdicts = worst_verdict(before), worst_verdict(after)
    if verdicts[0] is not verdicts[1]:
        worse = worst_verdict([*before, *after]) is verdicts[1]
        yield record("verdict", [verdicts[0].value], [verdicts[1].value], worse, "another verdict")
    if any(all(cell.verdict is Verdict.NOT_SHOWN for cell in cells) for cells in (before, after)):
        return
    persons = [sorted({cell.figures.person for cell in cells}) for cells in (before, after)]
    if any(persons[0]) != any(persons[1]):
        yield record("person", persons[0], persons[1], any(persons[1]), "a person is needed in one result only")
    for figure in FIGURES:
        values = [sorted((figure.value(cell) for cell in cells), key=badness) for cells in (before, after)]
        why = _beyond_noise(figure, *values)
        if why:
            more = badness(values[1][-1]) > badness(values[0][-1])
            yield record(figure.id, values[0], values[1], None if figure.unit is Unit.COUNT else more, why)


def _beyond_noise(figure: Figure, before: Sequence[Value], after: Sequence[Value]) -> str:
    """Return why sorted values differ by more than noise, or an empty text."""
    if not {_kind(value) for value in before} & {_kind(value) for value in after}:
        return "differs in kind"
    old, new = (_numbers(values) for values in (before, after))
    if not old or not new:
        return ""
    if figure.unit is Unit.LOST and (old[-1] == 0) != (new[-1] == 0):
        return "a loss in one result only"
    # Negative if the ranges overlap.
    gap = max(new[0] - old[-1], old[0] - new[-1])
    if figure.unit not in _NOISE:
        return "outside the range of the seeds" if gap > 0 else ""
    if len(old) > 1 and len(new) > 1:
        spread = max(old[-1] - old[0], new[-1] - new[0], _SMALLEST[figure.unit])
        return f"more than the spread of the seeds ({spread:.3g} {figure.unit})" if gap > spread else ""
    relative, absolute = _NOISE[figure.unit]
    # Of the smaller value, so that the order of the results does not matter.
    part = relative * min(old[-1], new[-1])
    return f"more than {relative:.0%} and {absolute:g} {figure.unit}" if gap > max(part, absolute) else ""


def _kind(value: Value) -> str:
    return "none" if value is None else NEVER if value == NEVER else "number"


def _numbers(values: Sequence[Value]) -> list[float]:
    return [value for value in values if value is not None and value != NEVER]


def _words(values: Sequence[float | str | None]) -> str:
    shown = [f"{value:.4g}" if isinstance(value, float) else str(value or "–") for value in values]
    return shown[0] if len(set(shown)) == 1 else f"{shown[0]} … {shown[-1]}"
