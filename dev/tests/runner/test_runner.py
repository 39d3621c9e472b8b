"""Local runner: name mapping, logs, wrong use, and one small job on a real driver."""

import json
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from databricks.sdk.service.jobs import RunResultState

from dabs_lab.bundle import load_bundle
from dabs_lab.errors import ConfigurationError, MachineError
from dabs_lab.jobs import SETTINGS, Assumptions, Backoff, assumption_rows, assumptions_of, job_spec
from dabs_lab.jobs.events import EventKind, RunNow, Stop
from dabs_lab.runner.attempts import AttemptLog
from dabs_lab.runner.display import JsonLines, sentence, summary, summary_object
from dabs_lab.runner.local_config import ClusterSizes, load_local
from dabs_lab.runner.name_mapping import NameMapping
from dabs_lab.runner.run_state import RunState
from dabs_lab.runner.task_process import entry_point
from dev.tests.jobs.simulation import START, Simulation, job, seconds, task
from dev.tests.runner.bundles import Running, bundle, command_line, left, waits
from sensor_streams.runtime.entry_points import stream
from sensor_streams_dev import cli
from tests.policies.golden import given_with

ROOT = Path(__file__).parents[3]
PROJECT = given_with(catalog="main", principal="me")


def mapping_for(target: str) -> NameMapping:
    read = load_bundle(ROOT, target, variables=PROJECT, user="me@example.org")
    return NameMapping.of(read, load_local(ROOT / "local.yml"))


@pytest.mark.parametrize("target", ["dev", "prod"])
def test_job_parameters_are_mapped_to_local_folders_catalog_and_schema(target: str) -> None:
    here = mapping_for(target)
    spec = job_spec(load_bundle(ROOT, target, variables=PROJECT, user="me@example.org"), "single_task")
    (only,) = spec.tasks
    words = here.command(only, [f"--{name}={value}" for name, value in spec.named_parameters(only).items()])
    assert words[:3] == ["wheel", "sensor_streams", "stream"]
    arguments = dict(word.removeprefix("--").split("=", 1) for word in words[3:])
    assert arguments["catalog"] == "spark_catalog"
    assert arguments["schema"] == "plant"
    assert arguments["landing"] == str(ROOT / ".local/volumes/landing")
    assert arguments["checkpoints"] == str(ROOT / ".local/volumes/checkpoints")
    assert arguments["sensors"] == str(ROOT / "sensors.yml")
    assert arguments["trigger"] == "30 s", "other values stay unchanged"


def test_settings_that_a_workspace_provides_come_from_the_environment() -> None:
    variables = mapping_for("dev").environment({"HOME": "/home/me"})
    assert variables["HOME"] == "/home/me"
    assert variables["SENSOR_STREAMS_TABLES"] == str(ROOT / ".local/tables")
    assert variables["SENSOR_STREAMS_TRACKING_URI"].startswith("sqlite:///")


def test_a_volume_missing_in_local_yml_is_refused_before_the_start(tmp_path: Path) -> None:
    work = {"python_file": "waiting.py", "parameters": ["/Volumes/main/plant/other/x"]}
    folder = bundle(tmp_path, [{"task_key": "a", "spark_python_task": work}])
    read = load_bundle(folder)
    here = NameMapping.of(read, load_local(folder / "local.yml"))
    with pytest.raises(ConfigurationError, match="has no volume other"):
        here.prepare(job_spec(read, "small"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"home: \xff\xfe", "is not UTF-8 text"),
        (b"home: [", "not valid YAML"),
        (b"- x", "expected map, found sequence"),
        (b"1: x", "invalid key: 1"),
        (b"tables: x", "tables: Extra inputs are not permitted"),
        (b"clusters: {memory: 1}", "clusters.memory: "),
        (b"clusters: {memory: 1x}", "'1x' is not a size"),
    ],
)
def test_a_wrong_local_yml_is_reported_in_one_line_with_file_and_reason(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "local.yml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as raised:
        load_local(file)
    text = str(raised.value)
    assert message in text
    assert str(file) in text
    assert len(text.splitlines()) == 1


def test_local_yml_replaces_named_arguments_and_home(tmp_path: Path) -> None:
    file = tmp_path / "local.yml"
    file.write_text("arguments: {catalog: here}\nenvironment: {STORE: 'x:${home}/db'}\nvolumes: {v: '${home}/v'}\n")
    local = load_local(file).under(tmp_path / "trial")
    mapping = NameMapping(local, tmp_path, "/Workspace/files")
    assert mapping.argument("--catalog=main") == "--catalog=here"
    assert mapping.argument("--other=main") == "--other=main"
    assert mapping.argument("--landing=/Volumes/a/b/v/in") == f"--landing={tmp_path}/trial/v/in"
    assert mapping.environment({}) == {"STORE": f"x:{tmp_path}/trial/db"}


def test_a_job_that_needs_more_memory_than_the_machine_has_is_refused(tmp_path: Path) -> None:
    read = load_bundle(bundle(tmp_path, [waits("a"), waits("b", "other")]))
    here = NameMapping.of(read, load_local(tmp_path / "local.yml"))
    large = replace(here, local=replace(here.local, clusters=ClusterSizes(memory="90000g")))
    with pytest.raises(MachineError, match=r"2 drivers and 2 tasks need .* GiB"):
        large.prepare(job_spec(read, "small"))


def test_assumptions_are_settings_and_wrong_ones_are_reported_by_name() -> None:
    given = {"single_task_retries": 1, "task_backoff": {"first": "5 s", "factor": 2, "longest": "1 min"}}
    backoff = Backoff(seconds(5), 2, seconds(60))
    assert assumptions_of(given) == replace(Assumptions(), single_task_retries=1, task_backoff=backoff)
    wrong = {"run_gap": "soon", "single_task_retries": -1, "retries": 1, "run_backoff": {"first": "1 s", "times": 2}}
    with pytest.raises(ConfigurationError) as raised:
        assumptions_of(wrong)
    assert [line.split(": ")[1] for line in str(raised.value).splitlines()] == [
        "assumptions.single_task_retries",
        "assumptions.run_gap",
        "assumptions.run_backoff.factor",
        "assumptions.run_backoff.longest",
        "assumptions.run_backoff.times",
        "assumptions.retries",
    ]


def test_the_default_sizes_of_two_clusters_fit_eight_gigabytes() -> None:
    assert ClusterSizes().needed(drivers=2, tasks=2) < 8 * 2**30
    assert load_local(ROOT / "local.yml").clusters == ClusterSizes(), "local.yml shows the defaults"


def test_a_growing_log_is_read_by_whole_lines(tmp_path: Path) -> None:
    log = AttemptLog(tmp_path / "a.log")
    log.poll()
    assert log.batches == {}
    figures = {"stream": "readings", "batch_id": 3, "rows_in": 5, "rows_out": 4, "lag_seconds": 1.5}
    line = json.dumps(figures)
    log.file.write_text(f'starting\n{{"stream": 1}}\n{line[:20]}')
    log.poll()
    assert log.batches == {}
    with log.file.open("a") as file:
        file.write(line[20:] + "\nValueError: x\n")
    log.poll()
    with log.file.open("a") as file:
        file.write('{"streams": ["readings", "alerts"]}\n')
    log.poll()
    assert log.streams == ["readings", "alerts"]
    assert (log.batches["readings"].number, log.batches["readings"].rows_out) == (3, 4)
    assert log.last_lines(2) == ["starting", "ValueError: x"]


def test_the_whole_error_message_is_shown_and_its_first_line_is_the_reason(tmp_path: Path) -> None:
    log = AttemptLog(tmp_path / "a.log")
    lines = ["stock: location changed.", "error location, stock", "ALTER TABLE", "To start anyway"]
    trace = ["starting", "Traceback (most recent call last):", f"stock_report.errors.CheckFailedError: {lines[0]}"]
    log.file.write_text("\n".join([*trace, *lines[1:]]))
    assert log.last_lines(2) == [trace[-1], *lines[1:]]
    assert log.message() == lines[0]
    assert len(log.last_lines(6)) == 6


def test_the_docs_name_every_setting_and_every_assumption() -> None:
    text = (ROOT / "docs/local-runs.md").read_text("utf-8")
    assert [name for name in SETTINGS if f"`{name}`" not in text] == []
    rows = [f"| `{name}` | {value} | {sentence} |" for name, value, sentence in assumption_rows(Assumptions())]
    assert [row for row in rows if row not in text] == []


def test_a_job_stopped_while_a_task_waits_for_a_retry_is_not_a_success() -> None:
    spec = job(task("good"), task("bad", max_retries=-1, min_retry_interval=seconds(60)))
    simulation = Simulation(spec, {"good": [None], "bad": [(5, 1)]})
    simulation.feed(RunNow(START))
    simulation.run(until=30)
    snapshot = simulation.machine.snapshot()
    state = RunState(snapshot, at_stop=snapshot, ended_at=30.0)
    state.kept.extend(event for event in simulation.events if event.kind is EventKind.ASSUMPTION)
    simulation.feed(Stop(START + seconds(30)))
    simulation.run()
    state.snapshot, state.results = simulation.machine.snapshot(), {snapshot.runs[0].id: RunResultState.CANCELED}
    assert state.exit_code == 1
    lines = list(summary(state))
    assert "the UI would show RUNNING; real state when it was stopped:" in lines[0]
    assert "  task bad: WAITING, 1 attempt" in lines
    assert "  then it was stopped: CANCELED" in lines
    assert summary_object(state, "now")["exit_code"] == 1
    state.interrupted = 15
    assert state.exit_code == 130


def test_every_event_is_one_line_of_text_and_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    spec = job(task("a", max_retries=1), task("b", "a"))
    simulation = Simulation(spec, {"a": [(5, 1), (5, 1)], "b": [(1, 0)]})
    simulation.feed(RunNow(START))
    simulation.run()
    texts = [text for event in simulation.events if (text := sentence(event))]
    assert all("\n" not in text for text in texts)
    assert any("a, attempt 1: TERMINATED FAILED RUN_EXECUTION_ERROR" in text for text in texts)
    assert any("b: TERMINATED UPSTREAM_FAILED" in text for text in texts)
    JsonLines().events(RunState(simulation.machine.snapshot()), tuple(simulation.events))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [event.as_dict() for event in simulation.events]


def test_an_entry_point_is_found_in_the_package_metadata() -> None:
    assert entry_point("sensor_streams", "stream") is stream
    with pytest.raises(LookupError, match="has no entry point nosuch"):
        entry_point("sensor_streams", "nosuch")
    with pytest.raises(LookupError, match="package nosuch is not installed"):
        entry_point("nosuch", "stream")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "the bundle has no job nosuch"),
        (["small", "--for", "10"], "--for '10' is not a duration"),
        (["small", "--until", "soon"], "--until 'soon' is not a time"),
        (["small", "--until", "2099-01-01"], "starts no run by itself"),
        (["small", "--live"], "has neither a schedule"),
        (["small", "--var", "x"], "--var 'x': write key=value"),
        (["small", "--param", "x=1"], "has no parameter x"),
        (["small", "--input", "nosuch"], "--input nosuch is not a folder"),
    ],
)
def test_wrong_use_is_reported_in_one_line_with_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(bundle(tmp_path, [waits("a")]))
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / ".local/log").exists(), "no process was started"


def test_without_java_the_exit_code_is_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(bundle(tmp_path, [waits("a")]))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "small"])
    assert ended.value.code == 3
    assert "Java 17 or 21 is needed" in capsys.readouterr().err


@pytest.mark.parametrize("job", [{}, {"continuous": {"pause_status": "PAUSED", "task_retry_mode": "ON_FAILURE"}}])
def test_a_driver_that_does_not_start_gives_exit_code_3_with_the_reason(tmp_path: Path, job: dict[str, object]) -> None:
    conf = {"new_cluster": {"spark_version": "x", "num_workers": 1, "spark_conf": {"spark.driver.memory": "1k"}}}
    folder = bundle(tmp_path, [waits("a")], job_clusters=[{"job_cluster_key": "main", **conf}], **job)
    with (folder / "local.yml").open("a") as file:
        file.write("assumptions: {single_task_retries: 0}\n")
    with Running(folder) as running:
        assert running.wait() == 3
    # The run of a continuous job that is replaced has the result CANCELED.
    (run,) = running.find("run", state="TERMINATED")
    assert run["result"] == ("CANCELED" if job else "FAILED")
    (ended,) = running.find("attempt", task="a", state="TERMINATED")
    assert (ended["result"], ended["code"]) == ("FAILED", "CLUSTER_ERROR")
    assert left([psutil.Process(pid) for pid in running.drivers() if psutil.pid_exists(pid)]) == []


def test_two_tasks_of_a_cluster_share_one_driver_and_a_failed_task_fails_the_job(tmp_path: Path) -> None:
    folder = bundle(tmp_path, [waits("good"), waits("bad")])
    with Running(folder) as running:
        pids = {running.pid("good"), running.pid("bad")}
        tree = running.tree()
        assert pids <= {process.pid for process in tree}
        assert len(pids) == 2
        lines = {one.pid: command_line(one) for one in tree}
        assert [pid for pid, line in lines.items() if line.partition(" ")[0].endswith("/java")] == running.drivers()
        secret = [line for line in lines.values() if "SECRET" in line]
        assert secret == []
        running.finish("good")
        running.until(lambda: running.find("attempt", task="good", result="SUCCESS"))
        running.finish("bad", 5)
        assert running.wait() == 1
    assert (folder / "good-1.ready").read_text() == (folder / "bad-1.ready").read_text()
    (ended,) = running.find("attempt", task="bad", state="TERMINATED")
    assert (ended["result"], ended["code"], ended["exit_code"]) == ("FAILED", "RUN_EXECUTION_ERROR", 1)
    assert "SystemExit: 5" in ended["message"]
    (summary,) = running.find("summary")
    assert summary["exit_code"] == 1
    assert left(tree) == []
