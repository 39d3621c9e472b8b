"""Content of the wheel that a cluster installs, and messages about a missing or wrong Java."""

import ast
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
from packaging.utils import canonicalize_name

from dabs_lab.errors import MachineError
from dabs_lab.jobs import job_spec
from dabs_lab.local_spark import check_java
from sensor_streams.runtime.entry_points import ENTRY_POINTS
from sensor_streams.streams import streams_of
from tests.plant import Plant, reading
from tests.policies.golden import read

ROOT = Path(__file__).parents[2]
# Packages of the Databricks runtime.
ON_THE_CLUSTER = {"pyspark", "py4j", "delta"}
# Package → the package that installs it.
PART_OF = {"pydantic_core": "pydantic"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as a deployment does."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def text_of(wheel: Path, name: str) -> str:
    """Return the content of a file of the wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (file,) = [one for one in archive.namelist() if one.endswith(f".dist-info/{name}")]
        return archive.read(file).decode()


def imported_packages(wheel: Path) -> set[str]:
    """Return the third-party packages that the modules of the wheel import, without the optional ones."""
    found = set[str]()

    def collect(node: ast.AST) -> None:
        if isinstance(node, ast.Try) and any(h.type and "ImportError" in ast.unparse(h.type) for h in node.handlers):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).split(".")[0])
        for child in ast.iter_child_nodes(node):
            collect(child)

    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                collect(ast.parse(archive.read(name)))
    return found - set(sys.stdlib_module_names) - {"sensor_streams"}


def test_the_wheel_holds_no_developer_module_and_no_console_script(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"sensor_streams"}
    assert "sensor_streams/streams.py" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert Parser().parsestr(text_of(wheel, "METADATA"))["License-Expression"] == "Apache-2.0"
    declared = configparser.ConfigParser()
    declared.read_string(text_of(wheel, "entry_points.txt"))
    # A console script would turn the report that a task returns into an exit code.
    assert declared.sections() == ["sensor_streams.tasks"]
    tasks = declared["sensor_streams.tasks"]
    assert set(tasks) == set(ENTRY_POINTS)
    for name, value in tasks.items():
        assert callable(EntryPoint(name, value, "sensor_streams.tasks").load())


def test_the_wheel_depends_on_exactly_the_packages_that_it_imports(wheel: Path) -> None:
    lines = Parser().parsestr(text_of(wheel, "METADATA")).get_all("Requires-Dist") or []
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    distributions = metadata.packages_distributions()
    used = set[str]()
    for package in imported_packages(wheel) - ON_THE_CLUSTER:
        names = {canonicalize_name(name) for name in distributions.get(PART_OF.get(package, package), ())}
        assert names & declared, f"the wheel imports {package}: declare it in pyproject.toml, or do not import it"
        used |= names
    assert declared <= used, "pyproject.toml declares packages that no module of the wheel imports"


def test_the_wheels_version_carries_the_commit(wheel: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    if head.returncode:
        assert wheel.name.startswith("sensor_streams-0.1.0-"), "fallback version of a folder without git"
        return
    tag = subprocess.run(["git", "describe", "--exact-match"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tag.returncode == 0:
        # In a release, the tag is the version.
        assert tag.stdout.strip().lstrip("v") in wheel.name
        return
    commit = re.search(r"\+g([0-9a-f]{7,})", wheel.name)
    assert commit is not None, f"{wheel.name}: a deploy would overwrite the wheel of a running job"
    assert head.stdout.startswith(commit.group(1))


def link_dependencies(packages: Path) -> None:
    """Link the dependencies of the wheel, pyspark and delta-spark from this environment into a site-packages folder."""
    waiting = [Requirement(text) for text in ("sensor-streams", "pyspark", "delta-spark")]
    seen: set[tuple[str, str]] = set()
    while waiting:
        needed = waiting.pop()
        for extra in {"", *needed.extras}:
            if (needed.name, extra) in seen:
                continue
            seen.add((needed.name, extra))
            required = [Requirement(text) for text in metadata.requires(needed.name) or ()]
            waiting += [one for one in required if one.marker is None or one.marker.evaluate({"extra": extra})]
    for name in {name for name, _ in seen} - {"sensor-streams"}:
        # File by file, because several distributions may have parts of one package.
        for file in metadata.files(name) or ():
            link = packages / file
            # Some distributions list a file twice.
            if ".." not in file.parts and not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.locate())


@pytest.mark.slow
def test_a_task_of_the_wheel_runs_in_an_environment_with_only_its_dependencies(wheel: Path, plant: Plant) -> None:
    plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5), reading("pump-1", "power", "00:05:00", 6), "{"])
    environment = plant.folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    link_dependencies(packages)
    start = (
        "import sys; from importlib.metadata import entry_points; from importlib.util import find_spec; "
        f"assert find_spec('sensor_streams').origin.startswith({str(packages)!r}); "
        "assert not find_spec('sensor_streams_dev') and not find_spec('dabs_lab'); "
        "(point,) = entry_points(group='sensor_streams.tasks', name='stream'); point.load()()"
    )
    spec = job_spec(read("dev", ROOT), "shared_cluster")
    named = spec.named_parameters(spec.tasks[0])
    parameters = plant.as_parameters(named)
    variables = {**plant.cluster_environment(), "PYSPARK_PYTHON": str(python)}
    variables.pop("PYTHONPATH", None)
    ended = subprocess.run(
        [str(python), "-c", start, *[f"--{name}={value}" for name, value in parameters.items()]],
        env=variables,
        cwd=plant.folder,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    figures = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith('{"stream"')]
    assert {line["stream"] for line in figures} == {stream.name for stream in streams_of([named["streams"]])}
    assert plant.sums() == (3, 2, 1, 0)
    assert plant.count("sensor_features") == 2, "one row per window"
    assert plant.differing() == []


def fake_java(folder: Path, version: str) -> Path:
    """Write a `java` that prints a version; return its JAVA_HOME."""
    file = folder / "bin" / "java"
    file.parent.mkdir(parents=True)
    file.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2020-01-01' >&2\n", "utf-8")
    file.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("version", "message"), [("11.0.2", "is version 11"), ("1.8.0_292", "is version 1"), ("24", "24")]
)
def test_a_wrong_java_is_one_line(tmp_path: Path, version: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert message in result.stderr
    assert "set JAVA_HOME" in result.stderr
    monkeypatch.setenv("JAVA_HOME", str(home))
    with pytest.raises(MachineError, match=r"Java 17 or 21 is needed and \S+/java is \d+: set JAVA_HOME"):
        check_java()


def test_a_missing_java_is_one_line_in_the_script_and_in_a_command(tmp_path: Path) -> None:
    environment = os.environ | {"JAVA_HOME": str(tmp_path / "none")}
    script = subprocess.run(
        [ROOT / "scripts/check_java.sh"], env=environment, capture_output=True, text=True, check=False
    )
    assert (script.returncode, len(script.stderr.splitlines())) == (1, 1)
    command = [sys.executable, "-m", "sensor_streams_dev.cli", "verify"]
    command += ["--home", str(tmp_path), "--local", str(ROOT / "local.yml")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 3
    assert result.stderr.strip().splitlines()[-1].startswith("error: Java 17 or 21 is needed and none was found")
    assert "Traceback" not in result.stderr


def test_a_failed_start_of_spark_is_one_line_with_the_error_and_the_log(tmp_path: Path) -> None:
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


def test_a_supported_java_prints_nothing(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "jdk", "17.0.9")
    result = subprocess.run(
        [ROOT / "scripts/check_java.sh"], env=os.environ | {"JAVA_HOME": str(home)}, capture_output=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_the_lock_has_hashes_and_no_urls() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in text
    pins = [line for line in text.splitlines() if "==" in line and not line.startswith("#")]
    assert all(line.endswith("\\") for line in pins)
    assert text.count("--hash=sha256:") > len(pins) > 50
