"""Write the report: the page, its style, its scripts and its data in one file."""

import json
from importlib.resources import files
from pathlib import Path
from string import Template

from dabs_lab.lab.report.page_data import page_data
from dabs_lab.lab.results import Results

# In the order in which they use each other.
_SCRIPTS = ("elements.js", "timeline.js", "matrix.js", "views.js", "report.js")


def write_report(results: Results, file: Path) -> None:
    """Write results as one HTML file, whole or not at all."""
    page = Template(_asset("report.html")).substitute(
        style=_asset("report.css"), script="\n".join(map(_asset, _SCRIPTS)), data=_embedded(page_data(results))
    )
    new = file.with_name(f".{file.name}.new")
    new.write_text(page, "utf-8")
    new.replace(file)


def _embedded(data: object) -> str:
    # A `<` in a label could end the script element.
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text("utf-8")
