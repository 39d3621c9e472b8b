"""`dabs-lab` runs jobs of a foreign bundle: no sensors, no Delta stream, no package of this project."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from dabs_lab.errors import INTERRUPTED
from dev.tests.runner.bundles import Running

FOREIGN = Path(__file__).parent / "foreign"


def test_a_foreign_job_runs_on_schedule_with_dependencies_a_retry_and_a_python_file(tmp_path: Path) -> None:
    folder = tmp_path / "stock"
    shutil.copytree(FOREIGN, folder)
    installed = folder / "stock_report-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: stock_report\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[stock]\nload = stock_report:load\ntotal = stock_report:total\n")
    with Running(folder, "--live", job="nightly", module="dabs_lab.cli") as running:
        # The schedule starts more runs; the first one is enough.
        ended = running.until(lambda: running.find("run", result="SUCCESS"), 240)[0]
        running.process.send_signal(signal.SIGINT)
        assert running.wait() == INTERRUPTED
    (started,) = running.find("run", run=ended["run"], state="PENDING")
    assert started["trigger"] == "PERIODIC"
    attempts = running.find("attempt", run=ended["run"], task="load", state="TERMINATED")
    assert [(one["number"], one["result"]) for one in attempts] == [(1, "FAILED"), (2, "SUCCESS")]
    assert "the till did not answer" in attempts[0]["message"]
    assert (folder / ".trial/out/report.txt").read_text() == "nightly stock report\nnorth 7\nsouth 5"


def test_dabs_lab_imports_no_other_package_of_this_project() -> None:
    code = "import sys, dabs_lab.cli, dabs_lab.runner.command; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in ended.stdout.split() if name.startswith("sensor_streams")] == []
