"""Exit codes and one-line error messages of the command line. Nothing here starts Spark."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sensor_streams import streams
from sensor_streams.checkpoint.lease import Lease, this_process
from sensor_streams.errors import FleetChangedError
from sensor_streams.runtime.supervisor import RunInterruptedError
from sensor_streams_dev import cli
from sensor_streams_dev.command_options import open_home
from sensor_streams_dev.homes import home_of_folder
from tests.policies.golden import copy_bundle

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `local.yml` of a copy of the project."""
    return copy_bundle(tmp_path_factory.mktemp("project")) / "local.yml"


@pytest.fixture
def run(tmp_path: Path, local: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command in an empty folder without Java: exit code, lines of stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "no java"))

    def command(*words: str) -> tuple[int, list[str]]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([*words, "--local", str(local)])
        code = ended.value.code
        assert isinstance(code, int)
        return code, capsys.readouterr().err.splitlines()

    return command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("stream nosuch", "no stream or task is called nosuch"),
        ("stream --trigger parsecs", "setting trigger (command line): 'parsecs' is not a duration"),
        ("stream --attempt=-1", "setting attempt (command line): Input should be greater"),
        ("stream --settings nosuch.yml", "nosuch.yml: cannot be read"),
        ("verify --settings a-file", "no such setting"),
        ("verify --from garbage", "--from 'garbage' is not a time"),
        ("verify --from 2026-02-01 --to 2026-01-01", "is not after"),
        ("verify --only nosuch", "no stream is called nosuch"),
        ("rebuild nosuch", "nosuch cannot be rebuilt: no stream has this name"),
        ("rebuild readings", "readings cannot be rebuilt: it only adds to its table"),
        ("rebuild", "rebuild takes the name of a stream, or --changed"),
        ("rebuild alerts --changed", "rebuild takes the name of a stream, or --changed"),
        ("rebuild alerts --train", "go with --changed"),
        ("rebuild --changed --from 2026-01-01", "--changed takes no --from"),
        ("erase --device pump-1", "give --yes to do it"),
        ("erase --device pump-1 --from 2026-02-01 --to 2026-01-01 --yes", "is not after"),
        ("demo --load-history", "--load-history needs --input"),
        ("train --settings nosuch.yml", "nosuch.yml: cannot be read"),
        ("failures x --settings nosuch.yml", "nosuch.yml: cannot be read"),
        ("simulate --landing a-file", "a-file is not a folder"),
        ("simulate --landing in --files-every 0", "the minimum is one second"),
        ("simulate --landing in --days nan", "--days nan: the resulting time is out of range"),
        ("simulate --landing in --days 1e12", "the resulting time is out of range"),
        ("simulate --landing in --files-every inf", "--files-every inf: the resulting time is out of range"),
        ("simulate --landing in --start 2025-12-01 --origin 2026-01-01", "the fleet starts at 2026-01-01"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2_before_spark_starts(
    run: Run, tmp_path: Path, words: str, message: str
) -> None:
    (tmp_path / "a-file").write_text("nosuch: 1\n", "utf-8")
    code, (line,) = run(*words.split())
    assert code == 2
    assert line.startswith("error: ")
    assert message in line
    assert not (tmp_path / "in").exists()


def test_a_problem_of_the_machine_is_one_line_and_exit_code_3(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    code, (line,) = run("stream", "--checkpoints", "a-file/x")
    assert (code, line) == (3, f"error: {tmp_path}/a-file/x: Not a directory")
    code, lines = run("stream", "--checkpoints", "[/x]", "--landing", "in")
    assert code == 3
    assert lines[-1].startswith("error: Java 17 or 21 is needed")
    assert (tmp_path / "[/x]").is_dir()


def test_demo_passes_load_history_to_the_streams(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    monkeypatch.setattr("sensor_streams_dev.demo.Demo.own", lambda demo, _: found.append(demo.workspace.settings))
    for more in ([], ["--load-history"]):
        assert run("demo", "--input", ".", *more)[0] == 0
    assert [settings.load_history for settings in found] == [False, True]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line_and_exit_code_3(run: Run) -> None:
    words = ["--landing", "in", "--days", "12", "--devices", "1", "--files-every", "200"]
    code, lines = run("simulate", *words, "--failures", "/dev/full")
    assert (code, lines[-1]) == (3, "error: the disk: No space left on device")


def test_names_with_brackets_and_colons_are_printed_unchanged(run: Run) -> None:
    name = "[a]/[/x]/:bug:.yml"
    assert run("simulate", "--sensors", name)[1][0].startswith("error: ")
    assert name in run("simulate", "--sensors", name)[1][0]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RunInterruptedError("stopped by a signal")])
def test_an_interrupted_command_ends_with_130(run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    monkeypatch.setattr(streams, "streams_of", raising(error))
    assert run("stream")[0] == 130


@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError("internal"), KeyError("x")])
def test_an_internal_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(streams, "streams_of", raising(error))
    with pytest.raises(type(error)):
        cli.main(["stream"])


def raising(error: BaseException) -> Callable[[object], None]:
    """Return a function that raises."""

    def function(_: object) -> None:
        raise error

    return function


def test_a_rebuild_during_a_run_of_its_stream_is_refused_with_the_name_of_the_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home/volumes/checkpoints/sensor_features"
    running = Lease([folder], this_process("nightly", 3), timedelta(seconds=0.4))
    # Even with the same run id: a rebuild never takes over a lease.
    monkeypatch.setenv("SENSOR_STREAMS_RUN", "nightly")
    monkeypatch.setenv("SENSOR_STREAMS_LEASE_TIMEOUT", "10 s")
    running.acquire()
    try:
        code, (line,) = run("rebuild", "sensor_features", "--home", "home")
    finally:
        running.release()
    assert code == 1
    assert "in use by run nightly, attempt 3" in line
    # With the lease free, it continues until it needs Java, and releases the lease.
    assert run("rebuild", "sensor_features", "--home", "home")[0] == 3
    assert not (folder / "holder.json").exists()


def test_folders_with_the_same_name_have_different_homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    homes = {home_of_folder(tmp_path / name / "readings") for name in ("a", "b")}
    assert len(homes) == 2
    monkeypatch.chdir(tmp_path)
    assert home_of_folder(Path("a/readings")) in homes
    assert home_of_folder(Path("b/../a/readings")) in homes


def test_the_command_in_an_error_selects_the_same_tables(
    run: Run, local: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise FleetChangedError("changed:\n  sensor-streams rebuild --changed --train")

    monkeypatch.setattr("sensor_streams_dev.watch.Watch.run", refuse)
    (tmp_path / "sensors.yml").write_bytes((local.parent / "sensors.yml").read_bytes())
    code, lines = run("stream", "readings", "--home", "my home", "--trigger", "10 s", "--sensors=sensors.yml")
    options = f"--home 'my home' --sensors sensors.yml --local {local}"
    assert (code, lines[-1]) == (1, f"  sensor-streams rebuild --changed {options} --train")


def test_commands_that_read_tables_use_those_of_the_demo_if_there_are_no_others(local: Path) -> None:
    def home(has_tables: bool = False) -> Path:
        return open_home(local, has_tables=has_tables).local.home

    own, demo = local.parent / ".local", local.parent / ".local/demo"
    assert home(has_tables=True) == own
    demo.mkdir(parents=True)
    (demo / "catalog.json").write_text("{}", "utf-8")
    assert home(has_tables=True) == demo
    assert home() == own
    (own / "catalog.json").write_text("{}", "utf-8")
    assert home(has_tables=True) == own
