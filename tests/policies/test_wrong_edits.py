"""Wrong edits of the job files: each is reported with the job, its position and what to do."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sensor_streams_dev.policies.job_files import broken_policies
from tests.policies.edits import REMOVED, job_file, set_value, value_at
from tests.policies.golden import ROOT, copy_bundle, read

ONE, SHARED, TWO, BUNDLE = "single_task", "shared_cluster", "cluster_per_task", "databricks.yml"
NAMED = "tasks.0.python_wheel_task.named_parameters"
OF_DEV = "targets.dev.variables"
CHECKPOINTS = "${resources.volumes.checkpoints.volume_path}"
# A team may change it.
_RETRIES = value_at(ROOT, job_file(SHARED), f"resources.jobs.{SHARED}.tasks.1.max_retries")
NOTIFY = r"no (email|webhook)_notifications\."


def _cluster(**changed: Any) -> dict[str, Any]:
    cluster = {
        "spark_version": "${var.runtime}",
        "node_type_id": "any",
        "num_workers": 1,
        "data_security_mode": "DATA_SECURITY_MODE_DEDICATED",
    }
    return {**cluster, **changed}


def _live(**changed: str) -> dict[str, str]:
    return {ONE: "PAUSED", SHARED: "PAUSED", TWO: "PAUSED", **changed}


def _notified(**events: list[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(task: dict[str, Any]) -> dict[str, Any]:
        return {**task, "webhook_notifications": {}, "email_notifications": events}

    return change


def _with(name: str, value: str) -> list[dict[str, str]]:
    """Return the parameters of a job, with one changed or added."""
    known = {one["name"]: one["default"] for one in value_at(ROOT, BUNDLE, "variables.parameters.default")}
    return [{"name": name, "default": text} for name, text in {**known, name: value}.items()]


def _in_policies(field: str) -> str:
    return rf"change {re.escape(field)} in policies\.yml:\d+"


WRONG: list[tuple[str, str, str, Any, str]] = [
    (
        "a stream missing from a task",
        SHARED,
        f"{NAMED}.streams",
        "readings,sensor_features,device_features",
        r"shared_cluster: stream device_sessions is in no task",
    ),
    (
        "no locked packages",
        SHARED,
        "tasks.1.libraries",
        [{"whl": "../dist/*.whl"}],
        r"shared_cluster: task \w+: libraries has no locked packages",
    ),
    (
        "a stream missing from the single task, next to a group",
        ONE,
        f"{NAMED}.streams",
        "feature_extraction, anomaly_scores,alerts,alert_events",
        r"single_task: stream remaining_life is in no task",
    ),
    (
        "a group that does not exist",
        ONE,
        f"{NAMED}.streams",
        "features,inference",
        r"task \w+: unknown stream 'features': write feature_extraction or inference, or one of readings, ",
    ),
    (
        "a stream in two tasks, once in its group",
        TWO,
        f"{NAMED}.streams",
        "feature_extraction,alerts",
        r"task \w+ of job cluster_per_task and task \w+ of job cluster_per_task use checkpoint \S+/alerts\. Rule D601",
    ),
    (
        "retries removed",
        SHARED,
        "tasks.0.max_retries",
        REMOVED,
        rf"shared_cluster: task \w+: max_retries is None: write -?\d+, or {_in_policies('retries.shared_cluster')}$",
    ),
    (
        "other retries",
        TWO,
        "tasks.0.max_retries",
        77,
        rf"max_retries is 77: write -?\d+, or {_in_policies('retries.cluster_per_task')}$",
    ),
    (
        "no pause between retries",
        SHARED,
        "tasks.1.min_retry_interval_millis",
        0,
        rf"shared_cluster: task \w+ sets max_retries: {_RETRIES} without an interval\. Rule D401: Set `min_retry_",
    ),
    (
        "retries of a continuous job",
        ONE,
        "tasks.0.max_retries",
        3,
        r"task \w+ sets max_retries: 3, but job single_task is continuous\. Rule D102: Remove `max_retries`",
    ),
    (
        "both tasks on one cluster",
        TWO,
        "tasks.1.job_cluster_key",
        "features",
        r"cluster_per_task: tasks feature_extraction, inference run endless streams on cluster features\. Rule D301",
    ),
    (
        "a literal UNPAUSED",
        ONE,
        "continuous.pause_status",
        "UNPAUSED",
        r"single_task: pause_status is UNPAUSED, but the variable live has PAUSED",
    ),
    (
        "a checkpoint path that contains the shape",
        TWO,
        "parameters",
        _with("checkpoints", f"{CHECKPOINTS}/cluster_per_task"),
        r"checkpoint path /Volumes/\S+/checkpoints/cluster_per_task contains 'cluster_per_task'",
    ),
    (
        "checkpoints of one shape elsewhere",
        TWO,
        "parameters",
        _with("checkpoints", f"{CHECKPOINTS}/x"),
        r"checkpoint path is \S+/x, elsewhere \S+/checkpoints",
    ),
    (
        "an entry point renamed",
        ONE,
        "tasks.0.python_wheel_task.entry_point",
        "streams",
        r"entry point 'streams' is not in the wheel",
    ),
    (
        "an unknown parameter",
        ONE,
        f"{NAMED}.triger",
        "30 s",
        r"task \w+: entry point stream takes no parameter 'triger'",
    ),
    (
        "an unknown parameter of the job, which the tasks get too",
        ONE,
        "parameters",
        _with("triger", "30 s"),
        r"task \w+: entry point stream takes no parameter 'triger'",
    ),
    (
        "a parameter of the job in place of that of the task",
        SHARED,
        "parameters",
        _with("trigger", "30 s"),
        r"task \w+: trigger is not available-now",
    ),
    (
        "a parameter of a task that its job overrides",
        SHARED,
        f"{NAMED}.schema",
        "other",
        r"task \w+: parameter schema has no effect: that of job shared_cluster takes precedence\. Rule D814: Remove",
    ),
    (
        "two shapes live",
        BUNDLE,
        f"{OF_DEV}.live",
        _live(single_task="UNPAUSED", shared_cluster="UNPAUSED"),
        r"jobs shared_cluster and single_task are both live and run the same streams: readings, .*D108: Pause all",
    ),
    (
        "continuous with dependencies",
        SHARED,
        "continuous",
        {"pause_status": "PAUSED"},
        r"of continuous job shared_cluster depends on",
    ),
    ("no schedule", SHARED, "trigger", REMOVED, r"has no schedule"),
    (
        "a trigger on another folder",
        SHARED,
        "trigger",
        {"pause_status": "PAUSED", "file_arrival": {"url": "/Volumes/a/b/landing/"}},
        r"shared_cluster: watches /Volumes/a/b/landing/, but files arrive in /Volumes/\S+/landing",
    ),
    (
        "an active trigger in dev",
        SHARED,
        "trigger",
        {"pause_status": "UNPAUSED", "periodic": {"interval": 1, "unit": "HOURS"}},
        r"is UNPAUSED",
    ),
    ("no dependency", SHARED, "tasks.1.depends_on", REMOVED, r"inference: does not depend on feature_extraction"),
    ("a queue", TWO, "queue.enabled", True, r"queue is on"),
    ("concurrent runs", ONE, "max_concurrent_runs", 2, r"runs of job single_task is 2\. Rule D606: Write"),
    ("never retried", ONE, "continuous.task_retry_mode", "NEVER", r"task_retry_mode is not ON_FAILURE"),
    (
        "a continuous task before a dependency",
        SHARED,
        f"{NAMED}.trigger",
        "30 s",
        r"trigger is not available-now",
    ),
    (
        "a notification on success only",
        ONE,
        "tasks.0",
        _notified(on_success=["a@example.org"]),
        rf"{NOTIFY}on_failure.*: add it, or {_in_policies('notifications.events')}; the notification of the job waits",
    ),
    (
        "a notification without a recipient",
        ONE,
        "tasks.0",
        _notified(on_failure=[""]),
        rf"{NOTIFY}on_failure",
    ),
    (
        "no notification of a backlog",
        ONE,
        "tasks.0",
        _notified(on_failure=["a@example.org"]),
        rf"{NOTIFY}on_streaming_backlog_exceeded.*: add it, or {_in_policies('notifications.events_of_streams')}$",
    ),
    (
        "no rule on a backlog",
        ONE,
        "tasks.0.health",
        REMOVED,
        rf"stream task \w+ of job single_task has no health rule\. Rule D503: "
        rf"Add `health\.rules` .*, or {_in_policies('notifications.events_of_streams')}$",
    ),
    (
        "no project tag",
        ONE,
        "tags",
        {"shape": ONE},
        rf"single_task: the tag \w+ is missing: add it, or {_in_policies('tags')}$",
    ),
    (
        "autoscale",
        BUNDLE,
        f"{OF_DEV}.cluster",
        _cluster(autoscale={"min_workers": 1, "max_workers": 4}),
        rf"scales automatically\. Rule D701: Replace `autoscale` .*, or {_in_policies('clusters.autoscale')}$",
    ),
    (
        "a spot driver",
        BUNDLE,
        f"{OF_DEV}.cluster",
        _cluster(aws_attributes={"availability": "SPOT"}),
        rf"may have a spot driver\. Rule D702: .*, or {_in_policies('clusters.spot_driver')}$",
    ),
    (
        "a spot driver in another cloud",
        BUNDLE,
        f"{OF_DEV}.cluster",
        _cluster(azure_attributes={"availability": "SPOT_WITH_FALLBACK_AZURE"}),
        r"may have a spot driver",
    ),
    (
        "standard access mode",
        BUNDLE,
        f"{OF_DEV}.cluster",
        _cluster(data_security_mode="DATA_SECURITY_MODE_STANDARD"),
        r"cluster main has data_security_mode DATA_SECURITY_MODE_STANDARD: write \w+, or "
        + _in_policies("clusters.access_modes"),
    ),
    ("an invalid setting", BUNDLE, f"{OF_DEV}.trigger", "often", r"setting trigger .*'often'"),
    (
        "a schema that Unity Catalog refuses",
        BUNDLE,
        f"{OF_DEV}.schema",
        "plant.streams",
        r"setting schema \(command line\): '\S+plant\.streams'",
    ),
    (
        "an empty pause status",
        BUNDLE,
        f"{OF_DEV}.live",
        _live(shared_cluster=""),
        r"databricks\.yml:\d+: variable live: shared_cluster is '': write PAUSED or UNPAUSED",
    ),
    (
        "a pause status in lower case",
        BUNDLE,
        f"{OF_DEV}.live",
        _live(shared_cluster="paused"),
        r"variable live: shared_cluster is 'paused': write PAUSED or UNPAUSED",
    ),
    ("a constant attempt", ONE, f"{NAMED}.attempt", "1", r"parameter attempt is not"),
]


@pytest.mark.parametrize(("where", "path", "value", "finding"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_a_wrong_edit_is_reported_with_name_and_position(
    tmp_path: Path, where: str, path: str, value: object, finding: str
) -> None:
    folder = copy_bundle(tmp_path)
    file = BUNDLE if where == BUNDLE else job_file(where)
    path = path if where == BUNDLE else f"resources.jobs.{where}.{path}"
    set_value(folder, file, path, value(value_at(folder, file, path)) if callable(value) else value)
    broken = broken_policies(read("dev", folder, strict=False))
    assert any(re.search(finding, line) for line in broken), broken
    assert all(re.match(r"(databricks\.yml|resources/\w+(\.job)?\.yml):\d+: ", line) for line in broken), broken
