"""The board of a running lab: the matrix so far, the present cell and its steps, and the time left."""

from collections.abc import Sequence
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dabs_lab.lab.declarations import Incident, Shape
from dabs_lab.lab.results import Cell, Verdict

_SIGNS = {Verdict.HELD: ("held", "green"), Verdict.BROKEN: ("broken", "red"), Verdict.NOT_SHOWN: ("not shown", "dim")}
_STEPS = 6


class LiveBoard:
    """Board in a terminal, or one line per cell elsewhere. steps: print each step as a line too (`--watch`)."""

    def __init__(
        self, console: Console, incidents: Sequence[Incident], shapes: Sequence[Shape], *, steps: bool = False
    ) -> None:
        self._console, self._incidents, self._shapes = console, incidents, shapes
        self._all_steps = steps
        self._cells: dict[tuple[str, str], list[Cell]] = {}
        self._present: tuple[str, str] | None = None
        self._head = ""
        self._steps: list[str] = []
        self._live = Live(console=console, get_renderable=self._view, refresh_per_second=2)

    def begin(self, incident: Incident, shape: Shape, seed: int, left: int, seconds_left: float | None) -> None:
        """Show the cell that begins."""
        self._present, self._steps = (incident.id, shape.id), []
        time_left = "" if seconds_left is None else f", about {max(1, round(seconds_left / 60))} min left"
        self._head = f"{incident.text.title}, {shape.text.title}, seed {seed}: {left} cells to run{time_left}"
        if not self._console.is_terminal or self._all_steps:
            self._line(self._head)

    def step(self, what: str) -> None:
        """Show a step of the cell."""
        self._steps = [*self._steps, what][-_STEPS:]
        if self._all_steps:
            self._line(f"  {what}")

    def end(self, cell: Cell) -> None:
        """Show the result of the cell."""
        self._present = None
        self._cells.setdefault((cell.incident, cell.shape), []).append(cell)
        if not self._console.is_terminal or self._all_steps:
            sign, style = _SIGNS[cell.verdict]
            why = "; ".join(cell.broken) or cell.note
            self._line(f"  {sign} after {cell.seconds:.0f} s{': ' + why if why else ''}", style)

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style), soft_wrap=True)

    def _view(self) -> Group:
        table = Table(box=None, pad_edge=False)
        table.add_column("incident")
        for shape in self._shapes:
            table.add_column(shape.text.title)
        for incident in self._incidents:
            table.add_row(incident.text.title, *(self._sign(incident.id, shape.id) for shape in self._shapes))
        return Group(table, Text(""), Text(self._head, style="bold"), *(Text(f"  {step}") for step in self._steps))

    def _sign(self, incident: str, shape: str) -> Text:
        if (incident, shape) == self._present:
            return Text("running", style="yellow")
        cells = self._cells.get((incident, shape))
        if not cells:
            return Text("·", style="dim")
        worst = next(v for v in (Verdict.BROKEN, Verdict.NOT_SHOWN, Verdict.HELD) if any(c.verdict == v for c in cells))
        return Text(*_SIGNS[worst])

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()
