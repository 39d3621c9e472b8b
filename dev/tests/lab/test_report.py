"""The report is one small file that loads nothing, and contains each figure and each label as it is."""

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from dabs_lab.lab.figures import FIGURES, NEVER, silent_spans
from dabs_lab.lab.report import write_report
from dabs_lab.lab.results import Bar, Cell, Figures, Lane, LaneKind, Results, State, Verdict
from dev.tests.lab.made_up_results import ODD, made_up_results

_MEGABYTE = 2**20
# Text may have these colours on these grounds: names of the variables in the style.
_GROUNDS = {
    "text": [
        "page",
        "raised",
        "level-0",
        "level-1",
        "level-2",
        "level-3",
        "running",
        "working",
        "waiting",
        "stuck",
        "ended",
        "pending",
    ],
    "muted": ["page"],
    "accent": ["page", "raised"],
    "bad-text": ["page"],
    "on-bad": ["bad"],
}


class _Elements(HTMLParser):
    """Elements of a page, and the texts of its scripts by type."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self._script = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._script = dict(attrs).get("type") or "" if tag == "script" else ""

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._script = ""


def _page(results: Results, folder: Path) -> str:
    write_report(results, folder / "report.html")
    return (folder / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def results() -> Results:
    return made_up_results()


@pytest.fixture(scope="module")
def page(results: Results, tmp_path_factory: pytest.TempPathFactory) -> str:
    return _page(results, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def data(page: str) -> Any:
    return json.loads(_Elements(page).scripts["application/json"])


def test_a_full_matrix_of_three_seeds_is_below_two_megabytes(tmp_path: Path) -> None:
    full = made_up_results(incidents=30, seeds=3)
    assert len(full.cells) == 30 * 7 * 3
    assert len(_page(full, tmp_path).encode()) < 2 * _MEGABYTE


def test_the_report_is_the_only_file_and_refers_to_no_other(page: str, results: Results, tmp_path: Path) -> None:
    write_report(results, tmp_path / "report.html")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert set(re.findall(r"https?://[^\s\"'`]+", page)) == {"http://www.w3.org/2000/svg"}
    elements = _Elements(page).elements
    assert not [
        tag for tag, attributes in elements if "src" in attributes or tag in ("img", "iframe", "object", "base")
    ]
    assert [a["href"] for tag, a in elements if tag == "link"] == ["data:,"]
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_a_label_with_markup_cannot_end_the_data(page: str, data: Any) -> None:
    embedded = _Elements(page).scripts["application/json"]
    assert "<" not in embedded
    assert ODD in [incident["title"] for incident in data["incidents"]]
    assert [tag for tag, _ in _Elements(page).elements].count("script") == 2


def test_labels_are_never_inserted_as_markup() -> None:
    scripts = [f for f in (files("dabs_lab.lab.report") / "assets").iterdir() if f.name.endswith(".js")]
    assert len(scripts) > 1
    for script in scripts:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script.read_text("utf-8")
        )


def test_each_cell_is_in_the_data_and_each_place_of_the_matrix_opens_one(data: Any, results: Results) -> None:
    keys = {(cell["incident"], cell["shape"], cell["seed"]) for cell in data["cells"]}
    assert keys == {(cell.incident, cell.shape, cell.seed) for cell in results.cells}
    opened = {
        (incident["id"], shape["id"], place["seed"])
        for incident, row in zip(data["incidents"], data["matrix"], strict=True)
        for shape, place in zip(data["shapes"], row, strict=True)
    }
    assert len(opened) == len(results.incidents) * len(results.shapes)
    assert opened <= keys


def test_deployable_shapes_come_first(data: Any) -> None:
    deployable = [shape["deployable"] for shape in data["shapes"]]
    assert deployable == sorted(deployable, reverse=True)
    assert True in deployable
    assert False in deployable


def _sum(values: Sequence[Any]) -> float:
    return sum(value for value in values if isinstance(value, int | float))


def test_the_sum_of_each_figure_is_that_of_the_results(data: Any, results: Results) -> None:
    for index, figure in enumerate(FIGURES):
        shown = [cell["figures"][index] for cell in data["cells"]]
        real = [figure.value(cell) for cell in results.cells]
        assert _sum(shown) == pytest.approx(_sum(real), abs=0.01 * len(real)), figure.id
        assert [v is None for v in shown] == [v is None for v in real]
        assert shown.count(NEVER) == real.count(NEVER)
    lost = next(index for index, figure in enumerate(FIGURES) if figure.id == "rows_lost")
    assert (
        _sum([cell["figures"][lost] for cell in data["cells"]]) == sum(c.figures.rows_lost for c in results.cells) > 0
    )


def test_several_seeds_show_the_worst_of_them(data: Any, results: Results) -> None:
    silent = next(index for index, figure in enumerate(FIGURES) if figure.id == "silent_seconds")
    mixed = 0
    for incident, row in zip(data["incidents"], data["matrix"], strict=True):
        for shape, place in zip(data["shapes"], row, strict=True):
            cells = results.find(incident["id"], shape["id"])
            verdicts = {cell.verdict for cell in cells}
            mixed += len(verdicts) > 1
            assert (place["verdict"] == Verdict.BROKEN) == (Verdict.BROKEN in verdicts)
            if Verdict.NOT_SHOWN not in verdicts:
                assert place["figures"][silent][0] == max(cell.figures.silent_seconds for cell in cells)
                assert place["figures"][silent][1] == min(cell.figures.silent_seconds for cell in cells)
    assert mixed


def _silent_cell(*reported: Bar, true: Sequence[Bar]) -> Cell:
    lanes = [
        Lane(kind=LaneKind.TRUE, title="job", bars=true),
        Lane(kind=LaneKind.REPORTED, title="job", bars=reported),
    ]
    return Cell(incident="i", shape="s", seed=1, verdict=Verdict.HELD, seconds=20, lanes=lanes)


def test_silent_time_is_where_a_running_job_has_a_dead_or_stuck_stream() -> None:
    cell = _silent_cell(
        Bar(begin=0, end=12, state=State.RUNNING),
        Bar(begin=12, end=20, state=State.FAILED),
        true=[
            Bar(begin=0, end=5, state=State.WORKING),
            Bar(begin=5, end=8, state=State.STUCK),
            Bar(begin=8, end=15, state=State.DEAD),
        ],
    )
    assert silent_spans(cell) == [(5, 12)]


def test_the_timelines_of_made_up_cells_agree_with_their_figures(results: Results) -> None:
    for cell in (cell for cell in results.cells if cell.lanes):
        drawn = sum(end - begin for begin, end in silent_spans(cell))
        assert drawn == pytest.approx(cell.figures.silent_seconds, abs=0.02)


def test_a_figure_without_a_value_is_never_or_does_not_apply() -> None:
    detection = next(figure for figure in FIGURES if figure.id == "detection_seconds")
    recovery = next(figure for figure in FIGURES if figure.id == "recovery_seconds")

    def cell(figures: Figures) -> Cell:
        return Cell(incident="i", shape="s", seed=1, verdict=Verdict.BROKEN, seconds=9, figures=figures)

    assert detection.value(cell(Figures(silent_seconds=3))) == NEVER
    assert detection.value(cell(Figures())) is None
    assert recovery.value(cell(Figures(rows_lost=1))) == NEVER
    assert recovery.value(cell(Figures())) is None
    assert recovery.level(NEVER) == len(recovery.steps)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("dark", [False, True])
def test_texts_have_the_contrast_of_wcag_aa(dark: bool) -> None:
    style = (files("dabs_lab.lab.report") / "assets" / "report.css").read_text("utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", style))
    for name, light_colour, dark_colour in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", style):
        colours[name] = dark_colour if dark else light_colour
    for text, grounds in _GROUNDS.items():
        for ground in grounds:
            low, high = sorted((_luminance(colours[text]), _luminance(colours[ground])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, f"{text} on {ground}"
