"""The command preflight: settings of a job, wrong use, and the docs page. Nothing starts Spark."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dabs_lab.bundle import load_bundle
from dabs_lab.jobs import JobSpec, job_spec
from dabs_lab.runner.local_config import load_local
from dabs_lab.runner.name_mapping import NameMapping
from sensor_streams.errors import ConfigurationError
from sensor_streams.preflight.findings import Report, docs_of
from sensor_streams.streams import STREAMS
from sensor_streams_dev import cli
from sensor_streams_dev.preflight.checks import CHECKS
from sensor_streams_dev.preflight.command import _PreflightRun, preflight, run_as
from sensor_streams_dev.preflight.job_settings import job_streams
from sensor_streams_dev.preflight.terminal_report import JsonObject, as_object
from tests.policies.edits import set_in_job, set_value
from tests.policies.golden import ROOT, copy_bundle, given_with

PAGE = (ROOT / "docs/preflight.md").read_text("utf-8")
PROJECT = given_with(catalog="main", principal="app-id")
ALL = [stream.name for stream in STREAMS]
Project = Callable[[str, str], Path]


def spec_of(folder: Path, job: str, target: str = "dev") -> JobSpec:
    return job_spec(load_bundle(folder, target, variables=PROJECT, user="me@example.org"), job)


@pytest.fixture
def changed(tmp_path: Path) -> Project:
    """Copy the project's bundle and replace a text of a job file."""

    def change(before: str, after: str) -> Path:
        copy_bundle(tmp_path)
        file = tmp_path / "resources" / "shared_cluster.job.yml"
        text = file.read_text("utf-8")
        assert before in text
        file.write_text(text.replace(before, after), "utf-8")
        return tmp_path

    return change


@pytest.mark.parametrize("job", ["single_task", "shared_cluster", "cluster_per_task"])
def test_tasks_with_the_same_tables_are_checked_together(job: str) -> None:
    (bound,) = job_streams(spec_of(ROOT, job, "prod"), str, lambda task: task.cluster.environment)
    assert [stream.name for stream in bound.streams] == ALL
    settings = bound.settings
    assert (settings.catalog, settings.schema_name) == ("main", "sensor_streams")
    assert settings.checkpoints == "/Volumes/main/sensor_streams/checkpoints"
    assert settings.run == "", "a run id is not part of the settings"
    assert settings.registry_uri == "databricks-uc"


def test_on_this_machine_the_parameters_point_to_its_tables() -> None:
    bundle = load_bundle(ROOT, "dev", variables=PROJECT, user="me@example.org")
    places = NameMapping.of(bundle, load_local(ROOT / "local.yml"))
    (bound,) = job_streams(job_spec(bundle, "shared_cluster"), places.argument, lambda task: places.environment({}))
    assert bound.tasks == ("feature_extraction", "inference")
    settings = bound.settings
    assert (settings.catalog, settings.schema_name) == ("spark_catalog", "plant")
    assert settings.tables == str(ROOT / ".local/tables")
    assert settings.checkpoints == str(ROOT / ".local/volumes/checkpoints")


def test_a_given_landing_folder_is_checked(tmp_path: Path) -> None:
    bundle = load_bundle(ROOT, "dev", variables=PROJECT, user="me@example.org")
    names = NameMapping.of(bundle, load_local(ROOT / "local.yml").with_volume("landing", tmp_path))
    (bound,) = job_streams(job_spec(bundle, "single_task"), names.argument, lambda _: names.environment({}))
    assert bound.settings.landing == str(tmp_path)


def test_tasks_with_other_tables_are_checked_separately(changed: Project) -> None:
    folder = changed("streams: inference", "streams: inference\n              tables: s3://bucket/other")
    one, two = job_streams(spec_of(folder, "shared_cluster"), str, lambda task: {})
    # A stream of your own may be declared anywhere.
    assert sorted(stream.name for stream in (*one.streams, *two.streams)) == sorted(ALL)
    assert two.settings.tables == "s3://bucket/other"


def test_a_task_has_the_environment_of_its_cluster() -> None:
    environment = {"SENSOR_STREAMS_LEASE_TIMEOUT": "7 s"}
    (bound,) = job_streams(spec_of(ROOT, "single_task"), str, lambda task: environment)
    assert bound.settings.lease_timeout.total_seconds() == 7


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("trigger: available-now", "trigger: often", "task feature_extraction: setting trigger"),
        ("streams: inference", "streams: nosuch,inference", "task inference: no stream or task is called nosuch"),
        ("streams: inference", "streams: ''", "parameter streams is missing"),
    ],
)
def test_a_wrong_parameter_is_reported_with_its_task(changed: Project, before: str, after: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        job_streams(spec_of(changed(before, after), "shared_cluster"), str, lambda task: {})


def test_the_preflight_shows_policies_that_the_bundle_breaks(tmp_path: Path) -> None:
    folder = copy_bundle(tmp_path)
    set_in_job(folder, "shared_cluster", "tasks.0.max_retries", 77)
    bundle = load_bundle(folder, "dev", variables=PROJECT, user="me@example.org")
    run = _PreflightRun("shared_cluster", "dev", {}, load_local(folder / "local.yml"), [], JsonObject())
    notes = run._run(bundle, [], lambda _: pytest.fail("nothing is checked"), []).notes
    line = r"policy: resources/shared_cluster\.job\.yml:\d+: job shared_cluster: task \w+: max_retries is 77: write"
    assert [note for note in notes if re.match(line, note)], notes


def test_a_mistake_in_policies_yml_is_reported_before_the_checks(tmp_path: Path) -> None:
    folder = copy_bundle(tmp_path)
    set_value(folder, "policies.yml", "retries.shared_cluster", "three")
    bundle = load_bundle(folder, "dev", variables=PROJECT, user="me@example.org")
    groups = job_streams(spec_of(folder, "shared_cluster"), str, lambda task: {})
    run = _PreflightRun("shared_cluster", "dev", {}, load_local(folder / "local.yml"), [], JsonObject())
    with pytest.raises(ConfigurationError, match=r"policies\.yml line \d+, retries\.shared_cluster: is 'three'"):
        run._run(bundle, groups, lambda _: pytest.fail("nothing is checked"), [])


def test_a_job_without_streams_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="job train: none of its tasks runs streams"):
        job_streams(spec_of(ROOT, "train"), str, lambda task: {})


def test_the_principal_is_the_one_that_the_job_runs_as() -> None:
    for target, principal in (("prod", "app-id"), ("dev", None)):
        assert run_as(load_bundle(ROOT, target, variables=PROJECT, user="me@example.org"), "single_task") == principal


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nosuch", "the bundle has no job nosuch"),
        ("single_task --target nosuch", "nosuch: no such target"),
        ("single_task --var x", "--var 'x': write key=value"),
        ("single_task --accept nosuch.yml", "nosuch.yml: cannot be read"),
        ("single_task --accept a-file", "a-file line 1, nosuch: unknown field"),
        ("single_task --home x --workspace", "--home is for this machine"),
        ("single_task --landing x --workspace", "--landing is for this machine"),
        ("single_task --landing nosuch", "nosuch: this folder does not exist"),
        ("train", "job train: none of its tasks runs streams"),
    ],
)
def test_wrong_use_is_reported_before_spark_starts_with_exit_code_2(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a-file").write_text("nosuch: 1\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exited:
        cli.main(["preflight", *words.split(), "--local", str(ROOT / "local.yml")])
    assert exited.value.code == 2
    assert message in capsys.readouterr().err


def test_the_page_has_a_section_for_each_check_and_no_other() -> None:
    sections = re.findall(r'### <a id="([^"]+)"></a>`([^`]+)` ', PAGE)
    assert sorted(check for _, check in sections) == sorted(CHECKS)
    assert all(docs_of(check) == f"docs/preflight.md#{anchor}" for anchor, check in sections)


def test_the_page_has_severity_title_cure_and_reproduction_of_each_check() -> None:
    for check, declared in CHECKS.items():
        section = PAGE.partition(f"</a>`{check}` ({declared.severity})\n")[2].partition("\n### ")[0]
        text, _, commands = section.partition("\n\n")
        title, _, cure = " ".join(text.split()).partition(" Cure: ")
        assert title.startswith(f"{declared.title[0].upper()}{declared.title[1:]}. "), check
        assert cure, check
        assert 1 <= len([line for line in commands.splitlines() if line.startswith("    ")]) <= 2, check


def test_the_page_names_every_option_and_every_field() -> None:
    options = inspect.signature(preflight).parameters.values()
    words = {word for one in options for word in re.findall(r"--[a-z-]+", str(one.annotation))}
    words |= {
        f"--{one.name}" for one in options if one.name in ("target", "var", "profile", "warehouse", "accept", "home")
    }
    assert [word for word in sorted(words) if word not in PAGE] == []
    fields = as_object(Report([], [], {}), {"job": "", "target": "", "where": "", "home": ""})
    assert [name for name in fields if f"`{name}`" not in PAGE] == []
