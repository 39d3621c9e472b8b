"""The list of all checks."""

import re
from pathlib import Path

from sensor_streams.preflight.checks.registry import CHECKS


def test_every_check_has_a_form_a_title_and_a_test_that_breaks_something() -> None:
    tests = "".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    for check, (severity, title) in CHECKS.items():
        assert re.fullmatch(r"[a-z]+\.[a-z]+(-[a-z]+)*", check)
        assert severity in ("error", "warning")
        assert title
        assert not title.endswith(".")
        assert f'"{check}"' in tests, check
