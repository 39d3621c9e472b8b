"""What the three deployable shapes promise, in each target, and that each wrong edit is told by name and place."""

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
from sensor_streams_dev.policies.job_files import SHAPES, broken_policies
from sensor_streams_dev.policies.stream_tasks import tasks as stream_tasks
from tests.policies.golden import FOLDER, GIVEN, ROOT, TARGETS, copy_bundle, read, text

FEATURES = "readings,sensor_features,device_features,device_sessions"
SHARED, TWO, ONE = (f"resources/{name}.job.yml" for name in ("shared_cluster", "cluster_per_task", "single_task"))
# The runtime's versions, from its release notes: 18 LTS is Spark 4.1.
SPARK_OF = {"18.x-scala2.13": "4.1"}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The bundle's files, to be edited."""
    copy_bundle(tmp_path)
    return tmp_path


def edit(folder: Path, file: str, old: str, new: str) -> None:
    """Replace the first of a text in a file; it must be there."""
    before = (folder / file).read_text("utf-8")
    assert old in before, f"{file} no longer holds {old!r}"
    (folder / file).write_text(before.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("target", TARGETS)
def test_the_shapes_keep_their_promises_in_each_target(target: str) -> None:
    bundle = read(target)
    assert broken_policies(bundle) == []
    assert set(bundle.jobs) >= {*SHAPES, "train", "maintenance"}, "each file through the typed models"


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_change_deploys_stands_in_the_golden_files(target: str) -> None:
    kept = (FOLDER / f"{target}.json").read_text("utf-8")
    change = "".join(difflib.unified_diff(kept.splitlines(True), text(read(target)).splitlines(True), "kept", "now"))
    assert not change, f"run `make golden` when this is meant:\n{change}"


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_live_in_dev_and_one_shape_elsewhere(target: str) -> None:
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
        "retries away",
        SHARED,
        "          max_retries: 3\n",
        "",
        r"shared_cluster: task \w+: max_retries is None and not 3",
    ),
    ("retries no longer for ever", TWO, "max_retries: -1", "max_retries: 3", r"max_retries is 3 and not -1"),
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
        r"single_task: pause_status is UNPAUSED where the variable live says PAUSED",
    ),
    (
        "a checkpoint path with the shape in it",
        TWO,
        "${resources.volumes.checkpoints.volume_path}",
        "${resources.volumes.checkpoints.volume_path}/cluster_per_task",
        r"checkpoint path /Volumes/plant/\w+/checkpoints/cluster_per_task holds 'cluster_per_task'",
    ),
    (
        "checkpoints of one shape elsewhere",
        TWO,
        "${resources.volumes.checkpoints.volume_path}",
        "${resources.volumes.checkpoints.volume_path}/x",
        r"checkpoint path is \S+/x and not \S+/checkpoints as elsewhere",
    ),
    (
        "an entry point renamed",
        ONE,
        "entry_point: stream",
        "entry_point: streams",
        r"entry point 'streams' is not in the wheel",
    ),
    ("a parameter that nobody takes", ONE, "trigger: ", "triger: ", r"entry point stream takes no parameter 'triger'"),
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
        "nothing starts it",
        SHARED,
        "trigger: ${var.shared_cluster_trigger}",
        "timeout_seconds: 7200",
        r"has no schedule",
    ),
    (
        "files that arrive elsewhere",
        "databricks.yml",
        "periodic: {interval: 15, unit: MINUTES}",
        "file_arrival: {url: /Volumes/plant/other/landing/}",
        r"shared_cluster: watches /Volumes/plant/other/landing/ and files arrive in /Volumes/plant/\w+/landing",
    ),
    (
        "a trigger that is on in dev",
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
        r"inference does not depend on feature_extraction",
    ),
    ("a queue", TWO, "queue: {enabled: false}", "queue: {enabled: true}", r"queue is on"),
    ("runs at once", ONE, "max_concurrent_runs: 1", "max_concurrent_runs: 2", r"max_concurrent_runs is not 1"),
    (
        "never retried",
        ONE,
        "task_retry_mode: ON_FAILURE",
        "task_retry_mode: NEVER",
        r"task_retry_mode is not ON_FAILURE",
    ),
    (
        "endless before a dependency",
        SHARED,
        "trigger: available-now",
        "trigger: 30 s",
        r"after a task without an end nothing starts",
    ),
    ("nobody told", ONE, "on_failure:", "on_success:", r"tells nobody when it fails"),
    ("scaling", "databricks.yml", "num_workers: 1", "autoscale: {min_workers: 1, max_workers: 4}", r"scales by itself"),
    ("a spot driver", "databricks.yml", "{availability: ON_DEMAND}", "{availability: SPOT}", r"may have a spot driver"),
    (
        "a spot driver in another cloud",
        "databricks.yml",
        "aws_attributes: {availability: ON_DEMAND}",
        "azure_attributes: {availability: SPOT_WITH_FALLBACK_AZURE}",
        r"may have a spot driver",
    ),
    (
        "the standard mode",
        "databricks.yml",
        "DEDICATED\n        aws_attributes: {",
        "STANDARD\n        aws_attributes: {",
        r"is not in dedicated mode",
    ),
    (
        "nobody told at all",
        ONE,
        'email_notifications:\n            on_failure: ["${var.alert_email}"]\n'
        '            on_streaming_backlog_exceeded: ["${var.alert_email}"]\n',
        "retry_on_timeout: false\n",
        r"tells nobody when it fails",
    ),
    ("a setting that the task refuses", "databricks.yml", "default: 30 s", "default: often", r"'often' is no duration"),
    (
        "a schema that Unity Catalog refuses",
        "databricks.yml",
        "default: sensor_streams\n",
        "default: sensor.streams\n",
        r"setting schema \(command line\): '\S+sensor\.streams' is not a name that Unity Catalog takes",
    ),
    (
        "a shape that is neither paused nor live",
        "databricks.yml",
        "shared_cluster: PAUSED",
        'shared_cluster: ""',
        r"databricks\.yml:\d+: variable live: shared_cluster is '': write PAUSED or UNPAUSED",
    ),
    (
        "a shape that is paused in small letters",
        "databricks.yml",
        "shared_cluster: PAUSED",
        "shared_cluster: paused",
        r"variable live: shared_cluster is 'paused': write PAUSED or UNPAUSED",
    ),
    ("an attempt that nobody knows", ONE, "{{task.execution_count}}", "1", r"parameter attempt is not"),
]


@pytest.mark.parametrize(("file", "old", "new", "told"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_a_wrong_edit_is_told_by_name_and_place(copied: Path, file: str, old: str, new: str, told: str) -> None:
    edit(copied, file, old, new)
    broken = broken_policies(read("dev", copied, strict=False))
    assert any(re.search(told, line) for line in broken), broken
    assert all(re.match(r"(databricks\.yml|resources/\w+(\.job)?\.yml):\d+: ", line) for line in broken), broken


@pytest.mark.parametrize("target", TARGETS)
def test_shared_cluster_may_start_when_files_arrive(copied: Path, target: str) -> None:
    (form,) = re.findall(
        r"```yaml\n(# in the variables of.*?)```", (ROOT / "docs/shapes.md").read_text("utf-8"), re.DOTALL
    )
    lines = "".join(f"      {line}\n" for line in form.splitlines())
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
def test_schema_and_volumes_are_protected_unless_a_variable_says_otherwise(target: str) -> None:
    def protected(**more: str) -> set[bool]:
        found = given(ROOT, target, **more).resources
        kept = [*found["schemas"].values(), *found["volumes"].values()]
        return {bool(one.get("lifecycle", {}).get("prevent_destroy")) for one in kept}

    assert protected() == {True}
    assert protected(prevent_destroy="false") == {False}


def test_what_is_left_out_of_the_deployment_is_there_whatever_a_user_deletes() -> None:
    # `validate --strict` fails for a pattern without a file; the wheel is built from src, and README.md is its text.
    assert set(read("dev").sections["sync"]["exclude"]) == {"src/**", "**/*.md"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["readme"] == "README.md"


def given(folder: Path, target: str, user: str = "anna.k@a.org", **more: str) -> Bundle:
    """The bundle as one person deploys it."""
    return load_bundle(folder, target, variables={**GIVEN, **more}, environment={}, user=user)


@pytest.mark.parametrize("catalog", ["acme-prod", "3rd", "über-katalog", "a`b"])
def test_a_catalog_that_unity_catalog_takes_breaks_nothing(copied: Path, catalog: str) -> None:
    for target in TARGETS:
        assert broken_policies(given(copied, target, user="joé.x@example.org", catalog=catalog)) == []


@pytest.mark.parametrize("catalog", ["acme.prod", "acme prod", "acme/prod", "a\tb", "x" * 256])
def test_a_catalog_that_unity_catalog_refuses_is_reported_before_the_deploy(copied: Path, catalog: str) -> None:
    broken = broken_policies(given(copied, "prod", catalog=catalog))
    assert any("not a name that Unity Catalog takes" in line for line in broken), broken
    assert all(re.match(r"resources/\w+(\.job)?\.yml:\d+: ", line) for line in broken), broken


def test_two_developers_never_share_a_schema(copied: Path) -> None:
    edit(copied, "databricks.yml", "experimental:\n", "experimental:\n  skip_name_prefix_for_schema: true\n")
    broken = broken_policies(given(copied, "dev"))
    told = r"resources/\S+:\d+: schema plant\.sensor_streams does not hold the user's name, and target dev is"
    assert any(re.match(told, line) for line in broken), broken
    assert any("folder of checkpoints /Volumes/plant/sensor_streams/checkpoints" in line for line in broken)
    edit(
        copied, "databricks.yml", "default: sensor_streams\n", "default: sensors_${workspace.current_user.short_name}\n"
    )
    assert not [line for line in broken_policies(given(copied, "dev")) if "hold the user's name" in line]


def test_two_developers_never_share_the_checkpoints(copied: Path) -> None:
    edit(copied, ONE, "${resources.volumes.checkpoints.volume_path}", "/Volumes/plant/shared/checkpoints")
    broken = broken_policies(given(copied, "dev"))
    assert any("folder of checkpoints /Volumes/plant/shared/checkpoints does not hold" in line for line in broken)
    assert any("is the same in the targets dev and prod" in line for line in broken)


def test_two_targets_of_one_catalog_never_share_a_schema(copied: Path) -> None:
    edit(copied, "databricks.yml", "schema: sensor_streams_staging", "schema: Sensor_Streams")
    for target, other in (("staging", "prod"), ("prod", "staging")):
        told = rf"resources/\S+:\d+: schema plant\.sensor_streams is the same in the targets {target} and {other}"
        broken = broken_policies(given(copied, target))
        assert any(re.match(told, line, re.IGNORECASE) for line in broken), broken
    assert broken_policies(given(copied, "dev")) == []


def test_two_targets_of_two_catalogs_may_have_schemas_of_one_name(copied: Path) -> None:
    edit(copied, "databricks.yml", "schema: sensor_streams_staging", "schema: sensor_streams\n      catalog: staging")
    edit(copied, "databricks.yml", "    permissions: *managers\n    variables:\n      live", OWN_CATALOG)
    for target in ("staging", "prod"):
        some = {name: value for name, value in GIVEN.items() if name != "catalog"}
        assert broken_policies(load_bundle(copied, target, variables=some, environment={}, user="a@b.org")) == []


def test_two_catalogs_with_one_root_of_tables_never_share_a_folder(copied: Path) -> None:
    edit(copied, "databricks.yml", "schema: sensor_streams_staging", "schema: sensor_streams\n      catalog: staging")
    edit(copied, "databricks.yml", "    permissions: *managers\n    variables:\n      live", OWN_CATALOG)
    some = {name: value for name, value in GIVEN.items() if name != "catalog"} | {"tables_root": "s3://bucket/plant"}
    broken = broken_policies(load_bundle(copied, "prod", variables=some, environment={}, user="a@b.org"))
    told = "folder of tables s3://bucket/plant/sensor_streams is the same in the targets prod and staging"
    assert any(told in line for line in broken), broken


def test_a_wrong_live_of_the_override_file_is_reported_there(copied: Path) -> None:
    file = copied / ".databricks/bundle/dev/variable-overrides.json"
    file.parent.mkdir(parents=True)
    live = {"single_task": "", "shared_cluster": "PAUSED", "cluster_per_task": "PAUSED"}
    file.write_text(json.dumps({"live": live}), "utf-8")
    told = ".databricks/bundle/dev/variable-overrides.json:1: variable live: single_task is ''"
    assert any(line.startswith(told) for line in broken_policies(given(copied, "dev")))


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
def test_a_job_that_runs_no_stream_is_free(copied: Path, target: str) -> None:
    (copied / "report.py").write_text("# Databricks notebook source\n", "utf-8")
    (copied / "resources/report.job.yml").write_text(REPORT, "utf-8")
    assert broken_policies(given(copied, target)) == []


def test_a_task_of_ones_own_in_a_job_of_streams_is_free_and_the_streams_are_not(copied: Path) -> None:
    (copied / "report.py").write_text("# Databricks notebook source\n", "utf-8")
    note = "{task_key: note, job_cluster_key: main, notebook_task: {notebook_path: ../report.py}}"
    task = f"      tasks:\n        - {note}\n"
    edit(copied, SHARED, "      tasks:\n", task)
    assert broken_policies(given(copied, "dev")) == []
    edit(copied, SHARED, "package_name: sensor_streams", "package_name: sensor-streams")
    assert any("package_name is 'sensor-streams'" in line for line in broken_policies(given(copied, "dev")))


def test_a_bundle_without_streams_breaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "databricks.yml").write_text("bundle: {name: other}\nresources:\n  jobs:\n    a: {name: a}\n", "utf-8")
    assert broken_policies(load_bundle(tmp_path, environment={})) == []


def test_the_form_of_two_jobs_that_the_docs_give_is_a_shape_like_the_others(copied: Path) -> None:
    (form,) = re.findall(
        r"```yaml\n(# resources/two_jobs.*?)```", (ROOT / "docs/shapes.md").read_text("utf-8"), re.DOTALL
    )
    (copied / "resources/two_jobs.job.yml").write_text(form, "utf-8")
    edit(copied, "databricks.yml", "cluster_per_task: PAUSED}", "cluster_per_task: PAUSED, two_jobs: UNPAUSED}")
    assert broken_policies(read("dev", copied)) == []
    edit(copied, "databricks.yml", "{single_task: PAUSED,", "{single_task: UNPAUSED,")
    (told,) = broken_policies(read("dev", copied, strict=False))
    assert "single_task and two_jobs are live at once on the same checkpoints" in told


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("max_concurrent_runs", "max_concurent_runs", r"resources/single_task\.job\.yml:10\S*: .*max_concurent_runs"),
        ("ON_FAILURE", "SOMETIMES", r"resources/single_task\.job\.yml:1\d\S*: .*SOMETIMES"),
        ("${var.trigger}", "${var.triger}", r"\$\{var\.triger\}"),
    ],
    ids=["unknown field", "wrong enum", "missing reference"],
)
def test_a_resource_file_goes_through_the_typed_models(copied: Path, old: str, new: str, told: str) -> None:
    edit(copied, ONE, old, new)
    with pytest.raises(BundleError, match=told):
        assert read("dev", copied).jobs


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_job_hands_over_are_settings(target: str) -> None:
    jobs = read(target).resources["jobs"]
    tasks = [task for key in SHAPES for _, task in stream_tasks(jobs[key])]
    for task in tasks:
        told = {
            name: value.replace("${resources.schemas.live.name}", "sensor_streams").replace("{{job.run_id}}", "7")
            for name, value in task["python_wheel_task"]["named_parameters"].items()
            if name != "streams"
        } | {"attempt": "2"}
        settings = load_settings(told)
        assert settings.tables is None, "an empty root means managed tables"
        assert settings.bounded == (told["trigger"] == "available-now")
        assert load_settings({**told, "tables_root": "s3://bucket/plant/"}).tables == "s3://bucket/plant/sensor_streams"
    assert {
        name for task in tasks for name in task["python_wheel_task"]["named_parameters"]["streams"].split(",")
    } == set(BY_NAME)


def test_the_entry_points_of_the_jobs_are_those_of_the_wheel() -> None:
    assert {point.name for point in entry_points(group="sensor_streams.tasks")} == set(ENTRY_POINTS)


def test_runtime_and_lock_have_the_same_spark_and_delta() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    locked = dict(re.findall(r"^(pyspark|delta-spark)==(\S+)", lock, re.MULTILINE))
    for target in TARGETS:
        runtime = read(target).variables["runtime"]
        assert locked["pyspark"].startswith(SPARK_OF[runtime] + "."), f"{runtime} is Spark {SPARK_OF.get(runtime)}"
        assert f"io.delta:delta-spark_{SPARK_OF[runtime]}_2.13:{locked['delta-spark']}" == DELTA_JAR


def test_variables_without_default_are_named_for_whoever_deploys() -> None:
    head = (ROOT / "databricks.yml").read_text("utf-8")
    named = re.findall(r"^# needs-var: (\w+)$", head, re.MULTILINE)
    assert sorted(named) == sorted(GIVEN)
    for name in named:
        with pytest.raises(BundleError, match=f"no value assigned to required variable {name}"):
            load_bundle(ROOT, "prod", variables={k: v for k, v in GIVEN.items() if k != name})
