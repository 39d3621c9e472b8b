"""Policies of the job files are kept in each target; valid edits break none."""

import difflib
import json
import re
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml

from dabs_lab.bundle import Bundle, BundleError, load_bundle
from dabs_lab.bundle.resolved_json import read_resolved
from dabs_lab.local_spark import DELTA_JAR
from sensor_streams.runtime.entry_points import ENTRY_POINTS
from sensor_streams.settings import load_settings
from sensor_streams.streams import BY_NAME, STREAMS
from sensor_streams_dev.policies.job_files import broken_policies
from sensor_streams_dev.policies.job_shapes import SHAPES
from sensor_streams_dev.policies.stream_tasks import parameters, streams_of_task
from sensor_streams_dev.policies.stream_tasks import tasks as stream_tasks
from tests.policies.edits import add_target, job_file, set_in_job, set_value, value_at
from tests.policies.golden import (
    FOLDER,
    GIVEN,
    NEEDED,
    ROOT,
    TARGETS,
    copy_bundle,
    given_with,
    read,
    stale_files,
    text,
    write,
)

NAMED = "tasks.0.python_wheel_task.named_parameters"
# Spark version of each runtime, from its release notes.
SPARK_OF = {"18.x-scala2.13": "4.1"}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a copy of the bundle to edit."""
    copy_bundle(tmp_path)
    return tmp_path


@pytest.mark.parametrize("target", TARGETS)
def test_no_target_breaks_a_policy(target: str) -> None:
    bundle = read(target)
    assert broken_policies(bundle) == []
    assert set(bundle.jobs) >= {*SHAPES, "train", "maintenance"}


@pytest.mark.parametrize("target", TARGETS)
def test_the_resolved_bundle_equals_its_golden_file(target: str) -> None:
    file = FOLDER / f"{target}.json"
    kept = file.read_text("utf-8") if file.exists() else ""
    change = "".join(difflib.unified_diff(kept.splitlines(True), text(read(target)).splitlines(True), "kept", "now"))
    assert not change, f"run `make golden` if this change is intended:\n{change}"


def test_no_golden_file_belongs_to_a_removed_target() -> None:
    assert stale_files() == [], "run `make golden`"


def test_make_golden_follows_the_targets_of_databricks_yml(copied: Path, tmp_path: Path) -> None:
    golden = tmp_path / "golden"
    golden.mkdir()
    (golden / "removed.json").write_text("{}", "utf-8")
    add_target(copied, "uat")
    write(golden, copied)
    assert {file.stem for file in golden.iterdir()} == {*TARGETS, "uat"}
    assert json.loads((golden / "uat.json").read_text("utf-8"))["schemas"]["live"]["name"] == "a_schema_of_uat"


def test_a_new_target_with_its_own_schema_breaks_no_policy(copied: Path) -> None:
    add_target(copied, "uat")
    for target in (*TARGETS, "uat"):
        assert broken_policies(read(target, copied)) == []


@pytest.mark.parametrize("target", TARGETS)
def test_no_shape_is_live_in_development_and_at_most_one_elsewhere(target: str) -> None:
    bundle = read(target)
    live = [shape for shape, status in bundle.variables["live"].items() if status == "UNPAUSED"]
    assert len(live) <= (0 if bundle.mode == "development" else 1)


@pytest.mark.parametrize("target", TARGETS)
def test_a_file_arrival_trigger_for_shared_cluster_is_allowed(copied: Path, target: str) -> None:
    (snippet,) = re.findall(
        r"```yaml\n(# in the variables of.*?)```", (ROOT / "docs/shapes.md").read_text("utf-8"), re.DOTALL
    )
    trigger = yaml.safe_load(snippet)["shared_cluster_trigger"]
    set_value(copied, "databricks.yml", f"targets.{target}.variables.shared_cluster_trigger", trigger)
    bundle = read(target, copied)
    trigger = bundle.resources["jobs"]["shared_cluster"]["trigger"]
    assert trigger["file_arrival"]["url"] == f"{bundle.resources['volumes']['landing']['volume_path']}/"
    assert trigger["pause_status"] == bundle.variables["live"]["shared_cluster"]
    assert broken_policies(bundle) == []


@pytest.mark.parametrize("target", TARGETS)
def test_the_variable_prevent_destroy_protects_schema_and_volumes(target: str) -> None:
    def protected(**more: str) -> set[bool]:
        found = given(ROOT, target, **more).resources
        kept = [*found["schemas"].values(), *found["volumes"].values()]
        return {bool(one.get("lifecycle", {}).get("prevent_destroy")) for one in kept}

    assert protected() == {True}
    assert protected(prevent_destroy="false") == {False}


def test_the_patterns_of_sync_exclude_match_files_that_every_project_has() -> None:
    # `validate --strict` fails on a pattern without a file. The build needs src and README.md.
    assert set(read("dev").sections["sync"]["exclude"]) == {"src/**", "**/*.md"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["readme"] == "README.md"


def given(folder: Path, target: str, user: str = "anna.k@a.org", **more: str) -> Bundle:
    """Return the bundle as a user deploys it."""
    return load_bundle(folder, target, variables=given_with(**more), environment={}, user=user)


@pytest.mark.parametrize("catalog", ["acme-prod", "3rd", "über-katalog", "a`b"])
def test_a_valid_catalog_name_breaks_no_policy(copied: Path, catalog: str) -> None:
    for target in TARGETS:
        assert broken_policies(given(copied, target, user="joé.x@example.org", catalog=catalog)) == []


@pytest.mark.parametrize("catalog", ["acme.prod", "acme prod", "acme/prod", "a\tb", "x" * 256])
def test_an_invalid_catalog_name_is_reported(copied: Path, catalog: str) -> None:
    broken = broken_policies(given(copied, "prod", catalog=catalog))
    assert any("setting catalog" in line for line in broken), broken
    assert all(re.match(r"(databricks|resources/\w+(\.job)?)\.yml:\d+: ", line) for line in broken), broken


def test_a_schema_shared_by_developers_is_reported(copied: Path) -> None:
    set_value(copied, "databricks.yml", "experimental.skip_name_prefix_for_schema", True)
    set_value(copied, "databricks.yml", "targets.dev.variables.schema", "common")
    broken = broken_policies(given(copied, "dev"))
    finding = r"databricks\.yml:\d+: schema plant\.common does not contain the user's name, and target dev is"
    assert any(re.match(finding, line) for line in broken), broken
    assert any("folder of checkpoints /Volumes/plant/common/checkpoints" in line for line in broken)
    own = "sensors_${workspace.current_user.short_name}"
    set_value(copied, "databricks.yml", "targets.dev.variables.schema", own)
    assert not [line for line in broken_policies(given(copied, "dev")) if "contain the user's name" in line]


def test_checkpoints_shared_by_developers_are_reported(copied: Path) -> None:
    parameters = value_at(copied, "databricks.yml", "variables.parameters.default")
    shared = {"name": "checkpoints", "default": "/Volumes/plant/shared/checkpoints"}
    others = [one for one in parameters if one["name"] != "checkpoints"]
    set_in_job(copied, "single_task", "parameters", [*others, shared])
    broken = broken_policies(given(copied, "dev"))
    assert any("folder of checkpoints /Volumes/plant/shared/checkpoints does not contain" in line for line in broken)
    assert any("is the same in the targets dev and prod" in line for line in broken)


def test_a_schema_shared_by_two_targets_is_reported(copied: Path) -> None:
    set_value(copied, "databricks.yml", "targets.staging.variables.schema", "Common")
    set_value(copied, "databricks.yml", "targets.prod.variables.schema", "common")
    for target, other in (("staging", "prod"), ("prod", "staging")):
        finding = rf"databricks\.yml:\d+: schema plant\.common is the same in the targets {target} and {other}"
        broken = broken_policies(given(copied, target))
        assert any(re.match(finding, line, re.IGNORECASE) for line in broken), broken
    assert broken_policies(given(copied, "dev")) == []


def without_catalog() -> dict[str, str]:
    """Return the values of the variables that these tests give, so that each target has its own catalog."""
    return {name: value for name, value in given_with().items() if name != "catalog"}


def in_two_catalogs(folder: Path) -> None:
    """Give staging and prod the same schema name, each in its own catalog."""
    for target in ("staging", "prod"):
        set_value(folder, "databricks.yml", f"targets.{target}.variables.schema", "common")
        set_value(folder, "databricks.yml", f"targets.{target}.variables.catalog", target)


def test_the_same_schema_name_in_two_catalogs_is_allowed(copied: Path) -> None:
    in_two_catalogs(copied)
    for target in ("staging", "prod"):
        # Below one root both would have the same folder of tables.
        values = without_catalog() | {"tables_root": ""}
        assert broken_policies(load_bundle(copied, target, variables=values, environment={}, user="a@b.org")) == []


def test_a_table_folder_shared_by_two_catalogs_is_reported(copied: Path) -> None:
    in_two_catalogs(copied)
    values = without_catalog() | {"tables_root": "s3://bucket/plant"}
    broken = broken_policies(load_bundle(copied, "prod", variables=values, environment={}, user="a@b.org"))
    finding = "folder of tables s3://bucket/plant/common is the same in the targets prod and staging"
    assert any(finding in line for line in broken), broken


def test_an_invalid_live_in_the_override_file_is_reported_there(copied: Path) -> None:
    file = copied / ".databricks/bundle/dev/variable-overrides.json"
    file.parent.mkdir(parents=True)
    live = {"single_task": "", "shared_cluster": "PAUSED", "cluster_per_task": "PAUSED"}
    file.write_text(json.dumps({"live": live}), "utf-8")
    finding = ".databricks/bundle/dev/variable-overrides.json:1: variable live: single_task is ''"
    assert any(line.startswith(finding) for line in broken_policies(given(copied, "dev")))


REPORT = """\
resources:
  jobs:
    weekly_report:
      name: weekly report
      schedule: {quartz_cron_expression: '0 0 6 ? * MON', timezone_id: UTC, pause_status: PAUSED}
      tasks:
        - task_key: report
          notebook_task: {notebook_path: ../report.py}
        - task_key: other_wheel
          python_wheel_task: {package_name: reports, entry_point: send, named_parameters: {streams: video, schema: x.y}}
          depends_on: [{task_key: report}]
          new_cluster: {spark_version: 18.x-scala2.13, node_type_id: m5d.large, num_workers: 1}
          libraries: [{pypi: {package: reports}}]
"""


@pytest.mark.parametrize("target", TARGETS)
def test_policies_ignore_a_job_without_streams(copied: Path, target: str) -> None:
    (copied / "report.py").write_text("# Databricks notebook source\n", "utf-8")
    (copied / "resources/report.job.yml").write_text(REPORT, "utf-8")
    assert broken_policies(given(copied, target)) == []


def test_policies_ignore_a_foreign_task_in_a_job_with_streams(copied: Path) -> None:
    (copied / "report.py").write_text("# Databricks notebook source\n", "utf-8")
    tasks = value_at(copied, job_file("shared_cluster"), "resources.jobs.shared_cluster.tasks")
    note = {"task_key": "note", "job_cluster_key": "main", "notebook_task": {"notebook_path": "../report.py"}}
    set_in_job(copied, "shared_cluster", "tasks", [note, *tasks])
    assert broken_policies(given(copied, "dev")) == []
    set_in_job(copied, "shared_cluster", "tasks.1.python_wheel_task.package_name", "other-package")
    assert any("package_name is 'other-package'" in line for line in broken_policies(given(copied, "dev")))


def test_a_job_with_a_reference_in_place_of_its_tasks_is_reported_as_not_checked(copied: Path) -> None:
    job = "resources: {jobs: {other: {name: other, tasks: '${resources.jobs.single_task.tasks}'}}}\n"
    (copied / "resources/other.job.yml").write_text(job, "utf-8")
    assert broken_policies(given(copied, "prod")) == [
        "resources/other.job.yml:1: job other is not checked: resources.jobs.other.tasks: expected sequence, found "
        "${resources.jobs.single_task.tasks}"
    ]


def test_a_bundle_without_streams_breaks_no_policy(tmp_path: Path) -> None:
    (tmp_path / "databricks.yml").write_text("bundle: {name: other}\nresources:\n  jobs:\n    a: {name: a}\n", "utf-8")
    assert broken_policies(load_bundle(tmp_path, environment={})) == []


def test_the_two_jobs_of_the_docs_are_a_shape(copied: Path) -> None:
    (snippet,) = re.findall(
        r"```yaml\n(# resources/two_jobs.*?)```", (ROOT / "docs/shapes.md").read_text("utf-8"), re.DOTALL
    )
    (copied / "resources/two_jobs.job.yml").write_text(snippet, "utf-8")
    live = {**dict.fromkeys(SHAPES, "PAUSED"), "two_jobs": "UNPAUSED"}
    set_value(copied, "databricks.yml", "targets.dev.variables.live", live)
    assert broken_policies(read("dev", copied)) == []
    set_value(copied, "databricks.yml", "targets.dev.variables.live", {**live, "single_task": "UNPAUSED"})
    found = broken_policies(read("dev", copied, strict=False))
    assert len(found) == 2, found
    assert all(re.search(r"jobs \w+ and \w+ are both live and run ", line) and "single_task" in line for line in found)


def test_a_comment_with_a_reason_hides_a_rule_of_the_check(copied: Path) -> None:
    file = copied / job_file("single_task")
    text = file.read_text("utf-8")
    key = re.search(r"( +)- task_key: \w+\n", text)
    assert key is not None

    def broken(comment: str) -> list[str]:
        file.write_text(text.replace(key[0], f"{key[0]}{key[1]}  max_retries: 3{comment}\n"), "utf-8")
        return broken_policies(read("dev", copied))

    (finding,) = broken("")
    assert "Rule D102: " in finding
    assert broken("  # dabs-lab: ignore D102 because it is tried here") == []


def test_the_output_of_the_cli_is_checked_with_the_same_rules(copied: Path) -> None:
    set_in_job(copied, "single_task", "tasks.0.max_retries", 3)
    bundle = read("prod", copied)
    variables = {name: {"value": value} for name, value in bundle.variables.items()}
    resolved = json.dumps({**bundle.sections, "variables": variables, "resources": bundle.resources})
    (finding,) = broken_policies(read_resolved(copied, "standard input", resolved))
    assert "Rule D102: " in finding


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("max_concurent_runs", 1, r"resources/single_task\.job\.yml:\d+\S*: .*max_concurent_runs"),
        ("continuous.task_retry_mode", "SOMETIMES", r"resources/single_task\.job\.yml:\d+\S*: .*SOMETIMES"),
        (f"{NAMED}.trigger", "${var.triger}", r"\$\{var\.triger\}"),
    ],
    ids=["unknown field", "wrong enum", "missing reference"],
)
def test_a_mistake_in_a_resource_file_is_refused(copied: Path, path: str, value: object, message: str) -> None:
    set_in_job(copied, "single_task", path, value)
    with pytest.raises(BundleError, match=message):
        assert read("dev", copied).jobs


@pytest.mark.parametrize("target", TARGETS)
def test_the_parameters_of_the_jobs_are_valid_settings(target: str) -> None:
    jobs = read(target).resources["jobs"]
    tasks = [task for key in SHAPES for _, task in stream_tasks(jobs[key])]
    for task in tasks:
        values = {
            name: value.replace("${resources.schemas.live.name}", "sensor_streams").replace("{{job.run_id}}", "7")
            for name, value in parameters(task).items()
            if name != "streams"
        } | {"attempt": "2"}
        settings = load_settings(values)
        assert (settings.tables is None) == (not values["tables_root"]), "managed tables, or a folder below the root"
        assert settings.bounded == (values["trigger"] == "available-now")
        below_root = load_settings({**values, "tables_root": "s3://bucket/plant/"}).tables
        assert below_root == "s3://bucket/plant/sensor_streams"
    assert {name for task in tasks for name in streams_of_task(task)} == set(BY_NAME)


def test_each_stream_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(STREAMS), "streams of the same name write to the same checkpoint"


def test_the_entry_points_of_the_jobs_exist() -> None:
    assert {point.name for point in entry_points(group="sensor_streams.tasks")} == set(ENTRY_POINTS)


def test_the_lock_has_the_spark_and_delta_of_the_runtime() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    locked = dict(re.findall(r"^(pyspark|delta-spark)==(\S+)", lock, re.MULTILINE))
    for target in TARGETS:
        runtime = read(target).variables["runtime"]
        assert locked["pyspark"].startswith(SPARK_OF[runtime] + "."), f"{runtime} is Spark {SPARK_OF.get(runtime)}"
        assert f"io.delta:delta-spark_{SPARK_OF[runtime]}_2.13:{locked['delta-spark']}" == DELTA_JAR


def test_databricks_yml_lists_its_variables_without_default() -> None:
    for name in NEEDED:
        with pytest.raises(BundleError, match=f"no value assigned to required variable {name}"):
            load_bundle(ROOT, "prod", variables={k: v for k, v in GIVEN.items() if k != name})
