"""What a cluster installs, and what a fresh machine is told."""

import configparser
import json
import os
import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from dabs_lab.errors import MachineError
from dabs_lab.local_spark import check_java
from sensor_streams.runtime.entry_points import ENTRY_POINTS
from tests.plant import Plant, reading
from tests.policies.golden import read

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a deployment builds it."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_depends_on_neither_spark_nor_delta(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (file,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(file).decode())
        (points,) = [name for name in names if name.endswith("entry_points.txt")]
        declared = configparser.ConfigParser()
        declared.read_string(archive.read(points).decode())
    required = metadata.get_all("Requires-Dist") or []
    core = [line for line in required if "extra ==" not in line]
    assert core
    developers = ("pyspark", "delta-spark", "pytest", "plotly", "typer", "rich", "requests", "databricks", "psutil")
    assert not [line for line in required if line.startswith(developers)]
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"sensor_streams"}
    assert metadata["License-Expression"] == "Apache-2.0"
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name == "sensor_streams/streams.py" for name in names)
    # A wheel task finds these by name; as console scripts their report would be an exit code.
    assert "console_scripts" not in declared
    tasks = declared["sensor_streams.tasks"]
    assert set(tasks) == set(ENTRY_POINTS)
    for name, value in tasks.items():
        assert callable(EntryPoint(name, value, "sensor_streams.tasks").load())


def test_the_wheels_version_carries_the_commit(wheel: Path) -> None:
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    if told.returncode:
        assert wheel.name.startswith("sensor_streams-0.1.0-"), "a folder that was downloaded has a version too"
        return
    tag = subprocess.run(["git", "describe", "--exact-match"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tag.returncode == 0:
        # A release: its tag is the version, and says which commit it is.
        assert tag.stdout.strip().lstrip("v") in wheel.name
        return
    commit = re.search(r"\+g([0-9a-f]{7,})", wheel.name)
    assert commit is not None, f"{wheel.name}: a deploy would overwrite the wheel of a running job"
    assert told.stdout.startswith(commit.group(1))


def link_what_it_needs(packages: Path) -> None:
    """What the wheel asks for, and what a cluster brings, from what is installed here; nothing else of it."""
    waiting = [Requirement(text) for text in ("sensor-streams", "pyspark", "delta-spark")]
    seen: set[tuple[str, str]] = set()
    while waiting:
        needed = waiting.pop()
        for extra in {"", *needed.extras}:
            if (needed.name, extra) in seen:
                continue
            seen.add((needed.name, extra))
            asked = [Requirement(text) for text in metadata.requires(needed.name) or ()]
            waiting += [one for one in asked if one.marker is None or one.marker.evaluate({"extra": extra})]
    for name in {name for name, _ in seen} - {"sensor-streams"}:
        # File by file: packages of one name have parts in several distributions.
        for file in metadata.files(name) or ():
            link = packages / file
            # Some distributions name a file twice.
            if ".." not in file.parts and not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.locate())


@pytest.mark.slow
def test_the_wheel_is_installed_into_an_empty_environment_and_its_task_runs(wheel: Path, plant: Plant) -> None:
    plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5), reading("pump-1", "power", "00:05:00", 6), "{"])
    environment = plant.folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    link_what_it_needs(packages)
    start = (
        "import sys; from importlib.metadata import entry_points; import sensor_streams; "
        f"assert sensor_streams.__file__.startswith({str(packages)!r}); "
        "(point,) = entry_points(group='sensor_streams.tasks', name='stream'); point.load()()"
    )
    job = read("dev", ROOT).resources["jobs"]["shared_cluster"]["tasks"][0]
    named = job["python_wheel_task"]["named_parameters"]
    assert named["streams"].startswith("readings,")
    run_here = plant.as_parameters(named)
    ended = subprocess.run(
        [str(python), "-c", start, *[f"--{name}={value}" for name, value in run_here.items()]],
        env=plant.cluster_environment(),
        cwd=plant.folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    figures = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith('{"stream"')]
    assert {line["stream"] for line in figures} == set(named["streams"].split(","))
    assert plant.sums() == (3, 2, 1, 0)
    assert plant.count("sensor_features") == 2, "a window each"
    assert plant.differing() == []


def fake_java(folder: Path, version: str) -> Path:
    """A `java` that says a version, as the real one does."""
    file = folder / "bin" / "java"
    file.parent.mkdir(parents=True)
    file.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2020-01-01' >&2\n", "utf-8")
    file.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("version", "said"), [("11.0.2", "is version 11"), ("1.8.0_292", "is version 1"), ("24", "24")]
)
def test_a_wrong_java_is_one_line(tmp_path: Path, version: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home = fake_java(tmp_path / "jdk", version)
    result = subprocess.run(
        [ROOT / "scripts/check_java.sh"],
        env=os.environ | {"JAVA_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert said in result.stderr
    assert "set JAVA_HOME" in result.stderr
    monkeypatch.setenv("JAVA_HOME", str(home))
    with pytest.raises(MachineError, match=r"Java 17 or 21 is needed and \S+/java is \d+: set JAVA_HOME"):
        check_java()


def test_a_missing_java_is_one_line_from_the_script_and_from_a_command(tmp_path: Path) -> None:
    environment = os.environ | {"JAVA_HOME": str(tmp_path / "none")}
    script = subprocess.run(
        [ROOT / "scripts/check_java.sh"], env=environment, capture_output=True, text=True, check=False
    )
    assert (script.returncode, len(script.stderr.splitlines())) == (1, 1)
    command = [
        sys.executable,
        "-m",
        "sensor_streams_dev.cli",
        "verify",
        "--home",
        str(tmp_path),
        "--local",
        ROOT / "local.yml",
    ]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 3
    assert result.stderr.strip().splitlines()[-1].startswith("error: Java 17 or 21 is needed and none was found")
    assert "Traceback" not in result.stderr


def test_a_spark_that_does_not_start_is_one_line_that_names_the_log_and_what_it_said(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "jdk", "17.0.9")
    broken = "[ \"$1\" = -version ] || { echo 'Error: Could not reserve enough space' >&2; exit 1; }\n"
    with (home / "bin" / "java").open("a", encoding="utf-8") as file:
        file.write(broken)
    command = [sys.executable, "-m", "sensor_streams_dev.cli", "doctor"]
    environment = os.environ | {"JAVA_HOME": str(home)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 3
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: Spark does not start: Error: Could not reserve enough space; its log is ")
    assert line.endswith(str(tmp_path / ".local" / "log" / "doctor.log"))


def test_a_right_java_is_silence(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "jdk", "17.0.9")
    result = subprocess.run(
        [ROOT / "scripts/check_java.sh"], env=os.environ | {"JAVA_HOME": str(home)}, capture_output=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_the_lock_holds_hashes_and_no_addresses() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in text
    pins = [line for line in text.splitlines() if "==" in line and not line.startswith("#")]
    assert all(line.endswith("\\") for line in pins)
    assert text.count("--hash=sha256:") > len(pins) > 50
