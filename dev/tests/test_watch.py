"""Console output prints texts of the data unchanged."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from sensor_streams_dev.demo_report import _alerts
from sensor_streams_dev.local_home import LocalHome
from sensor_streams_dev.watch import Watch

ROOT = Path(__file__).parents[2]
NAMES = ["pump[/x]", "/tmp/[a]/b", "[red]x"]


@pytest.mark.parametrize("name", NAMES)
def test_a_text_with_brackets_is_printed_unchanged(name: str) -> None:
    out = io.StringIO()
    watch = Watch(Console(file=out, width=200), LocalHome.open(ROOT / "local.yml"))
    watch.say(f" {name}", "[bold]stream[/bold]")
    with watch.busy(name):
        pass
    first, second = out.getvalue().splitlines()
    assert first.endswith(f"s  stream {name}")
    assert second.endswith(f"s  {name}")


@pytest.mark.parametrize("name", NAMES)
def test_the_demo_report_prints_a_device_with_brackets_in_its_name(name: str) -> None:
    out = io.StringIO()
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    rows = [{"device_id": name, "rule": "unusual", "opened_at": pd.Timestamp(begin), "resolved_at": pd.NaT}]
    _alerts(Console(file=out, width=200), pd.DataFrame(rows), None, begin, end)
    assert f"  {name}" in out.getvalue()
