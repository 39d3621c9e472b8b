"""Policies of the job files: kept in each target, and each wrong edit is reported with name and position."""

import difflib
import json
import re
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from dabs_lab.bundle import Bundle, BundleError, load_bundle
from dabs_lab.local_spark import DELTA_JAR
from sensor_streams.runtime.entry_points import ENTRY_POINTS
from sensor_streams.settings import load_settings
from sensor_streams.streams import BY_NAME
from sensor_streams_dev.policies.job_files import broken_policies
from sensor_streams_dev.policies.job_shapes import SHAPES
from sensor_streams_dev.policies.stream_tasks import tasks as stream_tasks
from tests.policies.golden import FOLDER, GIVEN, ROOT, TARGETS, copy_bundle, read, text

FEATURES = "readings,sensor_features,device_features,device_sessions"
SHARED, TWO, ONE = (f"resources/{name}.job.yml" for name in ("shared_cluster", "cluster_per_task", "single_task"))
# Spark version of each runtime, from its release notes.
SPARK_OF = {"18.x-scala2.13": "4.1"}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a copy of the bundle to edit."""
    copy_bundle(tmp_path)
    return tmp_path


def edit(folder: Path, file: str, old: str, new: str) -> None:
    """Replace the first occurrence of a text in a file."""
    before = (folder / file).read_text("utf-8")
    assert old in before, f"{file} no longer holds {old!r}"
    (folder / file).write_text(before.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("target", TARGETS)
def test_no_target_breaks_a_policy(target: str) -> None:
    bundle = read(target)
    assert broken_policies(bundle) == []
    assert set(bundle.jobs) >= {*SHAPES, "train", "maintenance"}


@pytest.mark.parametrize("target", TARGETS)
def test_the_resolved_bundle_equals_its_golden_file(target: str) -> None:
    kept = (FOLDER / f"{target}.json").read_text("utf-8")
    change = "".join(difflib.unified_diff(kept.splitlines(True), text(read(target)).splitlines(True), "kept", "now"))
    assert not change, f"run `make golden` if this change is intended:\n{change}"


@pytest.mark.parametrize("target", TARGETS)
def test_no_shape_is_live_in_dev_and_one_in_other_targets(target: str) -> None:
    live = [shape for shape, status in read(target).variables["live"].items() if status == "UNPAUSED"]
    assert len(live) == (0 if target == "dev" else 1)


WRONG = [
    (
        "a stream removed from a task",
        SHARED,
        ",device_sessions",
        "",
        r"shared_cluster: stream device_sessions is in no task",
    ),
    (
        "a stream removed from the single task",
        ONE,
        ",remaining_life,",
        ",",
        r"single_task: stream remaining_life is in no task",
    ),
    (
        "a stream in two tasks",
        TWO,
        "streams: anomaly_scores",
        "streams: device_sessions,anomaly_scores",
        r"stream device_sessions is in two tasks, feature_extraction and inference",
    ),
    (
        "retries removed",
        SHARED,
        "          max_retries: 3\n",
        "",
        r"shared_cluster: task \w+: max_retries is None: write 3",
    ),
    ("retries limited", TWO, "max_retries: -1", "max_retries: 3", r"max_retries is 3: write -1"),
    (
        "both tasks on one cluster",
        TWO,
        "job_cluster_key: inference\n          #",
        "job_cluster_key: features\n          #",
        r"tasks feature_extraction and inference are both on cluster features",
    ),
    (
        "a literal UNPAUSED",
        ONE,
        "${var.live.single_task}",
        "UNPAUSED",
        r"single_task: pause_status is UNPAUSED, but the variable live has PAUSED",
    ),
    (
        "a checkpoint path that contains the shape",
        TWO,
        "${resources.volumes.checkpoints.volume_path}",
        "${resources.volumes.checkpoints.volume_path}/cluster_per_task",
        r"checkpoint path /Volumes/plant/\w+/checkpoints/cluster_per_task contains 'cluster_per_task'",
    ),
    (
        "checkpoints of one shape elsewhere",
        TWO,
        "${resources.volumes.checkpoints.volume_path}",
        "${resources.volumes.checkpoints.volume_path}/x",
        r"checkpoint path is \S+/x, elsewhere \S+/checkpoints",
    ),
    (
        "an entry point renamed",
        ONE,
        "entry_point: stream",
        "entry_point: streams",
        r"entry point 'streams' is not in the wheel",
    ),
    (
        "no locked packages",
        SHARED,
        "            - requirements: ../cluster/requirements.txt\n",
        "",
        r"shared_cluster: task \w+: libraries has no locked packages",
    ),
    ("an unknown parameter", ONE, "trigger: ", "triger: ", r"entry point stream takes no parameter 'triger'"),
    (
        "two shapes live",
        "databricks.yml",
        "{single_task: PAUSED, shared_cluster: PAUSED,",
        "{single_task: UNPAUSED, shared_cluster: UNPAUSED,",
        r"single_task and shared_cluster are live at once",
    ),
    (
        "continuous with dependencies",
        SHARED,
        "trigger: ${",
        "continuous: {pause_status: PAUSED}\n      trigger: ${",
        r"is continuous",
    ),
    (
        "no schedule",
        SHARED,
        "trigger: ${var.shared_cluster_trigger}",
        "timeout_seconds: 7200",
        r"has no schedule",
    ),
    (
        "a trigger on another folder",
        "databricks.yml",
        "periodic: {interval: 15, unit: MINUTES}",
        "file_arrival: {url: /Volumes/plant/other/landing/}",
        r"shared_cluster: watches /Volumes/plant/other/landing/, but files arrive in /Volumes/plant/\w+/landing",
    ),
    (
        "an active trigger in dev",
        "databricks.yml",
        "pause_status: ${var.live.sh",
        "pause_status: UNPAUSED # ",
        r"is UNPAUSED",
    ),
    (
        "no dependency",
        SHARED,
        "            - task_key: feature_extraction\n          python",
        "            []\n          python",
        r"inference: does not depend on feature_extraction",
    ),
    ("a queue", TWO, "queue: {enabled: false}", "queue: {enabled: true}", r"queue is on"),
    ("concurrent runs", ONE, "max_concurrent_runs: 1", "max_concurrent_runs: 2", r"max_concurrent_runs is not 1"),
    (
        "never retried",
        ONE,
        "task_retry_mode: ON_FAILURE",
        "task_retry_mode: NEVER",
        r"task_retry_mode is not ON_FAILURE",
    ),
    (
        "a continuous task before a dependency",
        SHARED,
        "trigger: available-now",
        "trigger: 30 s",
        r"trigger is not available-now",
    ),
    ("a notification on success only", ONE, "on_failure:", "on_success:", r"no email_notifications\.on_failure"),
    ("autoscale", "databricks.yml", "num_workers: 1", "autoscale: {min_workers: 1, max_workers: 4}", r"has autoscale"),
    ("a spot driver", "databricks.yml", "{availability: ON_DEMAND}", "{availability: SPOT}", r"may have a spot driver"),
    (
        "a spot driver in another cloud",
        "databricks.yml",
        "aws_attributes: {availability: ON_DEMAND}",
        "azure_attributes: {availability: SPOT_WITH_FALLBACK_AZURE}",
        r"may have a spot driver",
    ),
    (
        "standard access mode",
        "databricks.yml",
        "DEDICATED\n        aws_attributes: {",
        "STANDARD\n        aws_attributes: {",
        r"is not in dedicated mode",
    ),
    (
        "no notification",
        ONE,
        'email_notifications:\n            on_failure: ["${var.alert_email}"]\n'
        '            on_streaming_backlog_exceeded: ["${var.alert_email}"]\n',
        "retry_on_timeout: false\n",
        r"no email_notifications\.on_failure",
    ),
    ("an invalid setting", "databricks.yml", "default: 30 s", "default: often", r"setting trigger .*'often'"),
    (
        "a schema that Unity Catalog refuses",
        "databricks.yml",
        "default: sensor_streams\n",
        "default: sensor.streams\n",
        r"setting schema \(command line\): '\S+sensor\.streams'",
    ),
    (
        "an empty pause status",
        "databricks.yml",
        "shared_cluster: PAUSED",
        'shared_cluster: ""',
        r"databricks\.yml:\d+: variable live: shared_cluster is '': write PAUSED or UNPAUSED",
    ),
    (
        "a pause status in lower case",
        "databricks.yml",
        "shared_cluster: PAUSED",
        "shared_cluster: paused",
        r"variable live: shared_cluster is 'paused': write PAUSED or UNPAUSED",
    ),
    ("a constant attempt", ONE, "{{task.execution_count}}", "1", r"parameter attempt is not"),
]


@pytest.mark.parametrize(("file", "old", "new", "finding"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_a_wrong_edit_is_reported_with_name_and_position(
    copied: Path, file: str, old: str, new: str, finding: str
) -> None:
    edit(copied, file, old, new)
    broken = broken_policies(read("dev", copied, strict=False))
    assert any(re.search(finding, line) for line in broken), broken
    assert all(re.match(r"(databricks\.yml|resources/\w+(\.job)?\.yml):\d+: ", line) for line in broken), broken


@pytest.mark.parametrize("target", TARGETS)
def test_a_file_arrival_trigger_for_shared_cluster_is_allowed(copied: Path, target: str) -> None:
    (snippet,) = re.findall(
        r"```yaml\n(# in the variables of.*?)```", (ROOT / "docs/shapes.md").read_text("utf-8"), re.DOTALL
    )
    lines = "".join(f"      {line}\n" for line in snippet.splitlines())
    whole = (copied / "databricks.yml").read_text("utf-8")
    before, mark, after = whole.partition(f"\n  {target}:\n")
    (copied / "databricks.yml").write_text(
        before + mark + after.replace("    variables:\n", "    variables:\n" + lines, 1)
    )
    bundle = read(target, copied)
    trigger = bundle.resources["jobs"]["shared_cluster"]["trigger"]
    assert trigger["file_arrival"]["url"].endswith("sensor_streams/landing/") or target == "staging"
    assert trigger["pause_status"] == "PAUSED"
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
    return load_bundle(folder, target, variables={**GIVEN, **more}, environment={}, user=user)


@pytest.mark.parametrize("catalog", ["acme-prod", "3rd", "über-katalog", "a`b"])
def test_a_valid_catalog_name_breaks_no_policy(copied: Path, catalog: str) -> None:
    for target in TARGETS:
        assert broken_policies(given(copied, target, user="joé.x@example.org", catalog=catalog)) == []


@pytest.mark.parametrize("catalog", ["acme.prod", "acme prod", "acme/prod", "a\tb", "x" * 256])
def test_an_invalid_catalog_name_is_reported(copied: Path, catalog: str) -> None:
    broken = broken_policies(given(copied, "prod", catalog=catalog))
    assert any("setting catalog" in line for line in broken), broken
    assert all(re.match(r"resources/\w+(\.job)?\.yml:\d+: ", line) for line in broken), broken


def test_a_schema_shared_by_developers_is_reported(copied: Path) -> None:
    edit(copied, "databricks.yml", "experimental:\n", "experimental:\n  skip_name_prefix_for_schema: true\n")
    broken = broken_policies(given(copied, "dev"))
    finding = r"resources/\S+:\d+: schema plant\.sensor_streams does not contain the user's name, and target dev is"
    assert any(re.match(finding, line) for line in broken), broken
    assert any("folder of checkpoints /Volumes/plant/sensor_streams/checkpoints" in line for line in broken)
    edit(
        copied, "databricks.yml", "default: sensor_streams\n", "default: sensors_${workspace.current_user.short_name}\n"
    )
    assert not [line for line in broken_policies(given(copied, "dev")) if "contain the user's name" in line]


def test_checkpoints_shared_by_developers_are_reported(copied: Path) -> None:
    edit(copied, ONE, "${resources.volumes.checkpoints.volume_path}", "/Volumes/plant/shared/checkpoints")
    broken = broken_policies(given(copied, "dev"))
    assert any("folder of checkpoints /Volumes/plant/shared/checkpoints does not contain" in line for line in broken)
    assert any("is the same in the targets dev and prod" in line for line in broken)


def test_a_schema_shared_by_two_targets_is_reported(copied: Path) -> None:
    edit(copied, "databricks.yml", "schema: sensor_streams_staging", "schema: Sensor_Streams")
    for target, other in (("staging", "prod"), ("prod", "staging")):
        finding = rf"resources/\S+:\d+: schema plant\.sensor_streams is the same in the targets {target} and {other}"
        broken = broken_policies(given(copied, target))
        assert any(re.match(finding, line, re.IGNORECASE) for line in broken), broken
    assert broken_policies(given(copied, "dev")) == []


def test_the_same_schema_name_in_two_catalogs_is_allowed(copied: Path) -> None:
    edit(copied, "databricks.yml", "schema: sensor_streams_staging", "schema: sensor_streams\n      catalog: staging")
    edit(copied, "databricks.yml", "    permissions: *managers\n    variables:\n      live", OWN_CATALOG)
    for target in ("staging", "prod"):
        values = {name: value for name, value in GIVEN.items() if name != "catalog"}
        assert broken_policies(load_bundle(copied, target, variables=values, environment={}, user="a@b.org")) == []


def test_a_table_folder_shared_by_two_catalogs_is_reported(copied: Path) -> None:
    edit(copied, "databricks.yml", "schema: sensor_streams_staging", "schema: sensor_streams\n      catalog: staging")
    edit(copied, "databricks.yml", "    permissions: *managers\n    variables:\n      live", OWN_CATALOG)
    values = {name: value for name, value in GIVEN.items() if name != "catalog"} | {"tables_root": "s3://bucket/plant"}
    broken = broken_policies(load_bundle(copied, "prod", variables=values, environment={}, user="a@b.org"))
    finding = "folder of tables s3://bucket/plant/sensor_streams is the same in the targets prod and staging"
    assert any(finding in line for line in broken), broken


def test_an_invalid_live_in_the_override_file_is_reported_there(copied: Path) -> None:
    file = copied / ".databricks/bundle/dev/variable-overrides.json"
    file.parent.mkdir(parents=True)
    live = {"single_task": "", "shared_cluster": "PAUSED", "cluster_per_task": "PAUSED"}
    file.write_text(json.dumps({"live": live}), "utf-8")
    finding = ".databricks/bundle/dev/variable-overrides.json:1: variable live: single_task is ''"
    assert any(line.startswith(finding) for line in broken_policies(given(copied, "dev")))


OWN_CATALOG = "    permissions: *managers\n    variables:\n      catalog: prod\n      live"
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
    note = "{task_key: note, job_cluster_key: main, notebook_task: {notebook_path: ../report.py}}"
    task = f"      tasks:\n        - {note}\n"
    edit(copied, SHARED, "      tasks:\n", task)
    assert broken_policies(given(copied, "dev")) == []
    edit(copied, SHARED, "package_name: sensor_streams", "package_name: sensor-streams")
    assert any("package_name is 'sensor-streams'" in line for line in broken_policies(given(copied, "dev")))


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
    edit(copied, "databricks.yml", "cluster_per_task: PAUSED}", "cluster_per_task: PAUSED, two_jobs: UNPAUSED}")
    assert broken_policies(read("dev", copied)) == []
    edit(copied, "databricks.yml", "{single_task: PAUSED,", "{single_task: UNPAUSED,")
    (finding,) = broken_policies(read("dev", copied, strict=False))
    assert "single_task and two_jobs are live at once on the same checkpoints" in finding


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_concurrent_runs", "max_concurent_runs", r"resources/single_task\.job\.yml:10\S*: .*max_concurent_runs"),
        ("ON_FAILURE", "SOMETIMES", r"resources/single_task\.job\.yml:1\d\S*: .*SOMETIMES"),
        ("${var.trigger}", "${var.triger}", r"\$\{var\.triger\}"),
    ],
    ids=["unknown field", "wrong enum", "missing reference"],
)
def test_a_mistake_in_a_resource_file_is_refused(copied: Path, old: str, new: str, message: str) -> None:
    edit(copied, ONE, old, new)
    with pytest.raises(BundleError, match=message):
        assert read("dev", copied).jobs


@pytest.mark.parametrize("target", TARGETS)
def test_the_parameters_of_the_jobs_are_valid_settings(target: str) -> None:
    jobs = read(target).resources["jobs"]
    tasks = [task for key in SHAPES for _, task in stream_tasks(jobs[key])]
    for task in tasks:
        parameters = {
            name: value.replace("${resources.schemas.live.name}", "sensor_streams").replace("{{job.run_id}}", "7")
            for name, value in task["python_wheel_task"]["named_parameters"].items()
            if name != "streams"
        } | {"attempt": "2"}
        settings = load_settings(parameters)
        assert settings.tables is None, "managed tables"
        assert settings.bounded == (parameters["trigger"] == "available-now")
        assert (
            load_settings({**parameters, "tables_root": "s3://bucket/plant/"}).tables
            == "s3://bucket/plant/sensor_streams"
        )
    assert {
        name for task in tasks for name in task["python_wheel_task"]["named_parameters"]["streams"].split(",")
    } == set(BY_NAME)


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
    head = (ROOT / "databricks.yml").read_text("utf-8")
    named = re.findall(r"^# needs-var: (\w+)$", head, re.MULTILINE)
    assert sorted(named) == sorted(GIVEN)
    for name in named:
        with pytest.raises(BundleError, match=f"no value assigned to required variable {name}"):
            load_bundle(ROOT, "prod", variables={k: v for k, v in GIVEN.items() if k != name})
