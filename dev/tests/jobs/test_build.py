"""Job specs: those of the project's jobs, refused settings with their lines, settings without effect."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from databricks.bundles.jobs import ClusterSpec, Job, Task
from databricks.sdk.service.jobs import JobsHealthMetric, RunIf, TaskRetryMode

import dabs_lab.jobs
from dabs_lab.bundle import BundleError, load_bundle
from dabs_lab.jobs.assumptions import ASSUMED, Assumptions, assumption_rows
from dabs_lab.jobs.job_spec import JobSpec, NotificationKind, PythonFileTask
from dabs_lab.jobs.spec_builder import job_spec
from dabs_lab.jobs.supported_settings import SETTINGS, Effect
from tests.policies.golden import ROOT, TARGETS, copy_bundle, read

SOURCES = Path(dabs_lab.jobs.__file__).parent
JOBS = ("cluster_per_task", "maintenance", "shared_cluster", "single_task", "train")
# Settings of a job cluster with an effect here.
USED = {"spark_conf", "spark_env_vars"}
ROOT_FILE = """
bundle: {name: b}
artifacts: {wheel: {type: whl, build: make}}
targets: {t: {default: true}}
resources:
  schemas: {live: {name: plant, catalog_name: c}}
  jobs:
    j:
      name: j
"""
CLUSTERS = """
      job_clusters:
        - job_cluster_key: main
          new_cluster: {spark_version: 18.x-scala2.13, num_workers: 1}
"""
TASK = """
      tasks:
        - task_key: a
          job_cluster_key: main
          python_wheel_task: {package_name: p, entry_point: e}
"""
Made = Callable[..., JobSpec]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Return a function that builds a job from lines; `task`: more lines of task `a`, `more`: further tasks."""

    def make(lines: str = "", task: str = "", more: str = "", clusters: str = CLUSTERS, tasks: str = TASK) -> JobSpec:
        def indented(text: str, by: int) -> str:
            return "".join(f"{' ' * by}{line}\n" for line in text.splitlines())

        text = ROOT_FILE + indented(lines, 6) + clusters + tasks + indented(task, 10) + indented(more, 8)
        (tmp_path / "databricks.yml").write_text(re.sub(r"\n\n+", "\n", text).lstrip(), encoding="utf-8")
        return job_spec(load_bundle(tmp_path, environment={}), "j")

    return make


@pytest.mark.parametrize("target", TARGETS)
def test_every_job_of_the_project_is_supported(target: str) -> None:
    bundle = read(target)
    assert set(bundle.resources["jobs"]) >= set(JOBS)
    for key in bundle.resources["jobs"]:
        assert job_spec(bundle, key).warnings == ()


@pytest.mark.parametrize("target", TARGETS)
def test_only_settings_of_workspace_and_machines_have_no_effect(target: str) -> None:
    bundle = read(target)
    for key in JOBS:
        found = {one.path.removeprefix(f"resources.jobs.{key}.") for one in job_spec(bundle, key).no_effect}
        job = bundle.resources["jobs"][key]
        expected = {
            f"job_clusters[{at}].new_cluster.{name}"
            for at, cluster in enumerate(job["job_clusters"])
            for name in cluster["new_cluster"].keys() - USED
        }
        expected |= {f"tasks[{at}].libraries" for at in range(len(job["tasks"]))} | {"tags", "description"}
        assert found == expected | (set() if bundle.mode == "development" else {"permissions", "run_as"})


def test_a_setting_without_effect_has_its_position_and_reason() -> None:
    spec = job_spec(read("prod"), "single_task")
    (one,) = [found for found in spec.no_effect if found.path.endswith(".libraries")]
    line = (ROOT / one.position.file).read_text("utf-8").splitlines()[one.position.line - 1]
    assert (one.position.file, line.strip()) == (
        "resources/single_task.job.yml",
        "- requirements: ../cluster/requirements.txt",
    )
    assert "not those of a requirements file" in one.reason


def test_the_single_task_job() -> None:
    bundle = read("prod")
    spec = job_spec(bundle, "single_task")
    assert spec.continuous is not None
    assert spec.continuous.task_retry_mode is TaskRetryMode.ON_FAILURE
    assert spec.paused == (bundle.variables["live"]["single_task"] == "PAUSED")
    assert job_spec(read("dev"), "single_task").paused
    (one,) = spec.tasks
    named = spec.named_parameters(one)
    # References to resources are resolved, references to the run are not.
    assert (named["schema"], named["run"]) == ("sensor_streams", "{{job.run_id}}")
    recipients = one.notifications
    assert recipients.emails.get(NotificationKind.FAILURE) or recipients.webhooks.get(NotificationKind.FAILURE)
    assert [rule.metric for rule in one.health] == [JobsHealthMetric.STREAMING_BACKLOG_SECONDS]
    assert one.cluster.spark_conf == {"spark.sql.session.timeZone": "UTC"}


def test_the_shared_cluster_job() -> None:
    bundle = read("staging")
    spec = job_spec(bundle, "shared_cluster")
    first, second = spec.tasks
    written = bundle.resources["jobs"]["shared_cluster"]["tasks"][1]
    assert first.cluster is second.cluster
    assert second.depends_on == ("feature_extraction",)
    assert (second.run_if, second.retry_on_timeout) == (RunIf.ALL_SUCCESS, True)
    assert second.max_retries == written["max_retries"]
    assert second.timeout == timedelta(seconds=written["timeout_seconds"])
    assert second.min_retry_interval == timedelta(milliseconds=written["min_retry_interval_millis"])
    assert spec.schedule is not None
    assert (spec.queue, spec.max_concurrent_runs, spec.notifications.notify_skipped) == (False, 1, False)
    assert [leaf.key for leaf in spec.leaves()] == ["inference"]


def test_the_cluster_per_task_job() -> None:
    first, second = job_spec(read("prod"), "cluster_per_task").tasks
    assert (first.cluster.key, second.cluster.key) == ("features", "inference")
    assert (first.timeout, second.timeout) == (None, None)


@pytest.mark.parametrize(
    ("interval", "unit", "quartz"),
    [(15, "MINUTES", "0 0/15 * * * ?"), (1, "HOURS", "0 0 0/1 * * ?"), (1, "DAYS", "0 0 0 * * ?")],
)
def test_a_trigger_interval_becomes_a_schedule(made: Made, interval: int, unit: str, quartz: str) -> None:
    spec = made(f"trigger: {{pause_status: PAUSED, periodic: {{interval: {interval}, unit: {unit}}}}}", "", "")
    assert spec.schedule is not None
    assert (spec.schedule.quartz.text, spec.schedule.zone.key, spec.paused) == (quartz, "UTC", True)


def test_the_spec_has_every_supported_setting(made: Made) -> None:
    spec = made(
        "timeout_seconds: 100\nmax_concurrent_runs: 3\nqueue: {enabled: true}\n"
        "parameters: [{name: day, default: '{{job.start_time.iso_date}}'}]\n"
        "notification_settings: {no_alert_for_canceled_runs: true}\n"
        "webhook_notifications: {on_failure: [{id: hook}]}\n"
        "health: {rules: [{metric: RUN_DURATION_SECONDS, op: GREATER_THAN, value: 60}]}",
        "notification_settings: {alert_on_last_attempt: true}\nmax_retries: 2",
        "- task_key: b\n  run_if: ALL_DONE\n  depends_on: [{task_key: a}]\n"
        "  new_cluster: {spark_version: 18.x-scala2.13, num_workers: 1, spark_env_vars: {A: b}}\n"
        "  spark_python_task: {python_file: /Workspace/x.py, parameters: ['{{tasks.a.result_state}}', '{{nothing}}']}",
    )
    assert (spec.timeout, spec.max_concurrent_runs, spec.queue) == (timedelta(seconds=100), 3, True)
    assert spec.parameters == {"day": "{{job.start_time.iso_date}}"}
    assert (spec.notifications.notify_canceled, spec.duration_warning) == (False, timedelta(minutes=1))
    assert spec.notifications.webhooks == {NotificationKind.FAILURE: ("hook",)}
    first, second = spec.tasks
    assert first.notifications.on_last_attempt_only
    assert (second.cluster.own, second.cluster.environment) == (True, {"A": "b"})
    assert second.work == PythonFileTask("/Workspace/x.py", ("{{tasks.a.result_state}}", "{{nothing}}"))
    assert len(spec.warnings) == 1
    assert "{{nothing}} is not a reference and stays unchanged" in spec.warnings[0]
    assert spec.paused, "a job without a trigger runs only on request"


def test_parameters_of_the_job_are_pushed_down_to_named_parameters_and_take_precedence(made: Made) -> None:
    spec = made(
        "parameters: [{name: day, default: '1'}, {name: out, default: '${resources.schemas.live.name}'}]",
        more=with_parameters("named_parameters: {day: '2', own: x}")
        + "\n"
        + with_parameters("parameters: ['{{job.parameters.day}}']").replace("task_key: b", "task_key: c"),
    )
    without, named, positional = spec.tasks
    assert spec.named_parameters(named) == {"day": "1", "own": "x", "out": "plant"}
    # The documentation names only tasks with keyword arguments.
    assert (spec.named_parameters(without), spec.named_parameters(positional)) == ({}, {})


CONTINUOUS = "continuous: {task_retry_mode: ON_FAILURE}"
SECOND = "- task_key: b\n  job_cluster_key: main\n  python_wheel_task: {package_name: p, entry_point: e}"
AFTER_B, AFTER_A = "depends_on: [{task_key: b}]", "\n  depends_on: [{task_key: a}]"
AT_FIVE = "schedule: {quartz_cron_expression: '0 0 5 * * ?', timezone_id: UTC}"
NOTEBOOK = "- task_key: b\n  job_cluster_key: main\n  notebook_task: {notebook_path: /Workspace/x}"


def with_parameters(text: str) -> str:
    return SECOND.replace("entry_point: e", f"entry_point: e, {text}")


REFUSED = [
    # Lines of the job, lines of its task, further tasks, and the expected message.
    (
        "git_source: {git_provider: gitHub, git_url: x}",
        "",
        "",
        r"\.yml:9:\d+: resources.jobs.j.git_source: is not",
    ),
    ("trigger: {file_arrival: {url: /Volumes/a/b/c}}", "", "", r"trigger.file_arrival: .*an interval \(periodic\)"),
    ("trigger: {periodic: {interval: 7, unit: MINUTES}}", "", "", "every 7 minutes is not a supported interval"),
    ("trigger: {periodic: {interval: 2, unit: WEEKS}}", "", "", "every 2 weeks is not a supported interval"),
    (f"{CONTINUOUS}\ntrigger: {{periodic: {{interval: 1, unit: HOURS}}}}", "", "", "has two triggers"),
    ("environments: [{environment_key: e}]", "", "", "environments: .*serverless"),
    ("", "existing_cluster_id: x", "", r"tasks\[0\].existing_cluster_id: .*existing clusters"),
    ("", "disabled: true", "", r"tasks\[0\].disabled: .*remove the task"),
    ("", "libraries: [{pypi: {package: polars}}]", "", r"tasks\[0\].libraries: .*not the bundle's own wheel"),
    ("", "libraries: [{whl: /Volumes/a/b/c/other.whl}]", "", "not the bundle's own wheel"),
    ("", "", NOTEBOOK, r"tasks\[1\].notebook_task: .*only Python wheel and Python file"),
    ("", "depends_on: [{task_key: x}]", "", r"depends_on\[0\]: depends on unknown task x"),
    ("", AFTER_B, SECOND + AFTER_A, "are part of a cycle or depend on it: a, b"),
    ("", AFTER_B.replace("b}", "b, outcome: 'true'}"), SECOND, "outcome needs a condition task"),
    ("", "max_retries: -2", "", "negative retries"),
    (CONTINUOUS, "max_retries: 3", "", r"tasks\[0\].max_retries: is not allowed in a continuous job"),
    (CONTINUOUS, "", SECOND + AFTER_A, r"tasks\[1\].depends_on: is not allowed in a continuous job"),
    (AT_FIVE.replace("?", "*"), "", "", r"quartz_cron_expression: .*write \?"),
    (AT_FIVE.replace("UTC", "Mars"), "", "", "timezone_id: unknown time zone: Mars"),
    (f"{CONTINUOUS}\n{AT_FIVE}", "", "", "both scheduled and"),
    ("parameters: [{name: p, default: '{{job.parameters.p}}'}]", "", "", r"\[0\].default: cannot be resolved"),
    ("", "", with_parameters("parameters: ['{{tasks.a.run_id}}']"), r"parameters\[0\]: cannot .*not a dependency"),
    ("", "", with_parameters("parameters: ['${resources.jobs.j.id}']"), "known only in a workspace"),
    ("", "", with_parameters("parameters: [a], named_parameters: {a: b}"), "keep one kind"),
]


@pytest.mark.parametrize(("lines", "task", "more", "message"), REFUSED)
def test_an_unsupported_setting_is_refused_with_its_path_and_line(
    made: Made, lines: str, task: str, more: str, message: str
) -> None:
    with pytest.raises(BundleError, match=message) as raised:
        made(lines, task, more)
    assert raised.value.exit_code == 2
    assert all(problem.positions and problem.remedy for problem in raised.value.problems)


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        ("init_scripts: [{workspace: {destination: /x.sh}}]", "init_scripts: .*install it here by hand"),
        ("data_security_mode: USER_ISOLATION", "standard mode runs foreachBatch outside"),
    ],
)
def test_an_unsupported_cluster_setting_is_refused(made: Made, cluster: str, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        made(clusters=CLUSTERS.replace("num_workers: 1", f"num_workers: 1, {cluster}"))


def test_a_job_without_a_cluster_is_refused(made: Made) -> None:
    with pytest.raises(BundleError, match="job cluster main is not declared"):
        made(clusters="")


def test_all_problems_are_reported_together(made: Made) -> None:
    with pytest.raises(BundleError) as raised:
        made("git_source: {git_provider: gitHub, git_url: x}", "existing_cluster_id: x\ndisabled: true")
    assert len(raised.value.problems) == 3


def test_a_value_that_the_typed_models_reject_is_refused(made: Made) -> None:
    with pytest.raises(BundleError, match="SOMETIMES"):
        made("", "run_if: SOMETIMES")


def test_an_unknown_job_is_reported_with_the_known_ones() -> None:
    with pytest.raises(BundleError, match="no job singel_task: its jobs are: cluster_per_task, maintenance"):
        job_spec(read("dev"), "singel_task")


def test_the_table_has_every_setting_of_a_job_and_a_task() -> None:
    """A new setting of the typed models fails this test until the table has it."""
    private = {"deployment"}
    known = {name.removeprefix("tasks[].") for name in SETTINGS if re.fullmatch(r"tasks\[\]\.[a-z_]+", name)}
    assert set(Task.__dataclass_fields__) <= known
    assert set(Job.__dataclass_fields__) - private <= {name for name in SETTINGS if re.fullmatch("[a-z_]+", name)}
    prefix = "job_clusters[].new_cluster."
    clusters = {name.removeprefix(prefix) for name in SETTINGS if name.startswith(prefix)}
    assert set(ClusterSpec.__dataclass_fields__) <= clusters
    assert all(setting.reason for setting in SETTINGS.values())
    assert {setting.effect for setting in SETTINGS.values()} == set(Effect)


def test_every_assumption_is_used_and_described() -> None:
    code = "".join(file.read_text("utf-8") for file in SOURCES.glob("*.py") if file.name != "assumptions.py")
    assert [name for name in ASSUMED if f'"{name}"' not in code] == []
    assert set(Assumptions.__dataclass_fields__) <= set(ASSUMED)
    values = {name: value for name, value, _ in assumption_rows(Assumptions())}
    assert values["run_backoff"] == "0:00:30, each time 2 times as long, at most 1:00:00"
    assert values["new_cluster"] == ""


def test_the_bundle_may_be_in_another_folder(tmp_path: Path) -> None:
    copy_bundle(tmp_path)
    assert job_spec(read("dev", tmp_path), "train") == job_spec(read("dev"), "train")
