"""`dabs-lab` runs jobs of a bundle that is not ours: no sensors, no Delta stream, no package of this project."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.plant import QUICK

FOREIGN = Path(__file__).parent / "foreign"


def test_a_foreign_job_runs_by_its_schedule_with_dependencies_a_retry_and_a_python_file(tmp_path: Path) -> None:
    folder = tmp_path / "stock"
    shutil.copytree(FOREIGN, folder)
    installed = folder / "stock_report-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: stock_report\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[stock]\nload = stock_report:load\ntotal = stock_report:total\n")
    until = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    command = [sys.executable, "-m", "dabs_lab.cli", "run", "nightly", "--live", "--until", until, "--json"]
    environment = os.environ | {"JAVA_TOOL_OPTIONS": QUICK}
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    events = [json.loads(line) for line in ended.stdout.splitlines()]

    def found(event: str, **values: Any) -> list[dict[str, Any]]:
        return [e for e in events if e["event"] == event and all(e.get(k) == v for k, v in values.items())]

    assert [(e["number"], e["result"]) for e in found("attempt", task="load", state="TERMINATED")] == [
        (1, "FAILED"),
        (2, "SUCCESS"),
    ]
    assert "the till did not answer" in found("attempt", task="load", number=1, state="TERMINATED")[0]["message"]
    assert len(found("run", result="SUCCESS")) >= 1
    assert found("run", trigger="PERIODIC"), "its schedule starts the run"
    assert (folder / ".trial/out/report.txt").read_text() == "nightly stock report\nnorth 7\nsouth 5"


def test_the_packages_of_the_lab_import_no_package_of_this_project() -> None:
    code = "import sys, dabs_lab.cli, dabs_lab.runner.command; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in ended.stdout.split() if name.startswith("sensor_streams")] == []
