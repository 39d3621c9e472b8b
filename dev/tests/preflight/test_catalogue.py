"""The registered checks."""

import re
from pathlib import Path

from sensor_streams_dev.preflight.checks import CHECKS


def test_every_check_has_a_valid_id_a_title_and_a_test() -> None:
    tests = "".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    for check, declared in CHECKS.items():
        severity, title = declared.severity, declared.title
        assert re.fullmatch(r"[a-z]+\.[a-z]+(-[a-z]+)*", check)
        assert severity in ("error", "warning")
        assert title
        assert not title.endswith(".")
        assert f'"{check}"' in tests, check
