"""Data of the report, in a form that is small and that its scripts can draw.

Texts that repeat are in one list; bars, marks and notifications contain their numbers in that list.
"""

from collections.abc import Sequence
from typing import Any

from dabs_lab.lab.figures import FIGURES, Value, badness, silent_spans, worst_verdict
from dabs_lab.lab.results import Cell, IncidentText, LaneKind, MarkKind, Results, ShapeText, State, Verdict

Json = Any
_STATES, _LANES, _MARKS = list(State), list(LaneKind), list(MarkKind)


class _Texts:
    """Numbers of texts."""

    def __init__(self) -> None:
        self.all: dict[str, int] = {"": 0}

    def number(self, text: str) -> int:
        """Return the number of a text."""
        return self.all.setdefault(text, len(self.all))


def page_data(results: Results) -> Json:
    """Return the data of the report; its lists have the order of the results, with deployable shapes first."""
    shapes = sorted(results.shapes, key=lambda shape: not shape.deployable)
    texts = _Texts()
    return {
        "made_at": results.made_at,
        "commit": results.commit,
        "machine": results.machine.model_dump(mode="json"),
        "seeds": sorted({cell.seed for cell in results.cells}),
        "figures": [
            {
                "id": f.id,
                "title": f.title,
                "about": f.about,
                "unit": f.unit,
                "steps": f.steps,
                "scaled": f.scaled,
                "never": f.never,
            }
            for f in FIGURES
        ],
        "shapes": [shape.model_dump(mode="json") for shape in shapes],
        "incidents": [incident.model_dump(mode="json") for incident in results.incidents],
        "claims": [claim.model_dump(mode="json") for claim in results.claims],
        "matrix": [[_aggregate(results, incident, shape) for shape in shapes] for incident in results.incidents],
        "cells": [_cell(cell, texts) for cell in results.cells],
        "states": _STATES,
        "lane_kinds": _LANES,
        "mark_kinds": _MARKS,
        "texts": list(texts.all),
    }


def _aggregate(results: Results, incident: IncidentText, shape: ShapeText) -> Json:
    """Return the worst verdict and the worst and best figures of all seeds; None without a cell."""
    cells = results.find(incident.id, shape.id)
    if not cells:
        return None
    figures = []
    for figure in FIGURES:
        by_badness = sorted(cells, key=lambda cell, f=figure: badness(f.value(cell)))  # type: ignore[misc]
        best, worst = (_short(figure.value(cell)) for cell in (by_badness[0], by_badness[-1]))
        figures.append([worst, best, by_badness[-1].seed, figure.level(worst)])
    verdict = worst_verdict(cells)
    # A link to the aggregate opens the longest silence among the seeds with the worst verdict.
    shown = max((cell for cell in cells if cell.verdict is verdict), key=lambda cell: cell.figures.silent_seconds)
    verdicts = {v: sum(cell.verdict is v for cell in cells) for v in Verdict}
    return {
        "verdict": verdict,
        "verdicts": {v: n for v, n in verdicts.items() if n},
        "seed": shown.seed,
        "figures": figures,
    }


def _cell(cell: Cell, texts: _Texts) -> Json:
    n = texts.number
    return {
        "incident": cell.incident,
        "shape": cell.shape,
        "seed": cell.seed,
        "verdict": cell.verdict,
        "broken": cell.broken,
        "note": n(cell.note),
        "seconds": _short(cell.seconds),
        "fault_at": _short(cell.fault_at),
        "figures": [_short(figure.value(cell)) for figure in FIGURES],
        "person": n(cell.figures.person),
        "collateral": [[n(name), _short(d.seconds), d.rows] for name, d in cell.figures.collateral.items()],
        "notifications": [
            [_short(m.at), n(m.event), n(m.setting), [n(r) for r in m.recipients]] for m in cell.figures.notifications
        ],
        "silent": [[_short(begin), _short(end)] for begin, end in silent_spans(cell)],
        "lanes": [
            [
                _LANES.index(lane.kind),
                n(lane.title),
                [[_short(b.begin), _short(b.end), _STATES.index(b.state), n(b.label)] for b in lane.bars],
            ]
            for lane in sorted(cell.lanes, key=lambda lane: _LANES.index(lane.kind))
        ],
        "marks": [[_short(m.at), _MARKS.index(m.kind), n(m.label)] for m in _ordered(cell)],
    }


def _ordered(cell: Cell) -> Sequence[Any]:
    return sorted(cell.marks, key=lambda mark: mark.at)


def _short(value: Value) -> Value:
    return round(value, 2) if isinstance(value, float) else value
