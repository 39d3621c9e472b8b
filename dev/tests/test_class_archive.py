"""The archive of Spark's classes: written by `doctor --faster-starts`, used by every JVM that starts afterwards."""

import subprocess
import sys
from pathlib import Path

import pytest

from dabs_lab import class_archive
from dabs_lab.class_archive import archive_option

# The archive of this environment must stay, so a process of its own gets another place for it.
PROCESS = """
import sys
from pathlib import Path
from dabs_lab import class_archive
class_archive.ARCHIVE = Path(sys.argv[1])
"""


def python(code: str, *words: str, folder: Path) -> str:
    """Run Python code in a folder; return its output."""
    ended = subprocess.run(
        [sys.executable, "-c", PROCESS + code, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


def test_without_an_archive_or_with_a_name_that_cannot_be_quoted_no_option_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_archive, "ARCHIVE", tmp_path / "none.jsa")
    assert archive_option() == ""
    odd = tmp_path / 'a".jsa'
    odd.write_bytes(b"")
    monkeypatch.setattr(class_archive, "ARCHIVE", odd)
    assert archive_option() == ""


@pytest.mark.slow
def test_a_jvm_takes_most_of_its_classes_from_the_archive(tmp_path: Path) -> None:
    archive, loaded = tmp_path / "with a space.jsa", tmp_path / "loaded.txt"
    doctor = "from sensor_streams_dev.cli import app; app(['doctor', '--faster-starts'], standalone_mode=False)"
    assert "faster starts yes" in python(doctor, str(archive), folder=tmp_path)
    start = (
        "from dabs_lab.local_spark import local_session\n"
        "local_session('test', Path('spark.log'), java_options=f'-Xlog:class+load:file={sys.argv[2]}').range(9).count()"
    )
    python(start, str(archive), str(loaded), folder=tmp_path)
    lines = loaded.read_text("utf-8").splitlines()
    shared = [line for line in lines if "shared objects file (top)" in line]
    assert len(shared) > 5_000, f"{len(shared)} of {len(lines)} classes"
