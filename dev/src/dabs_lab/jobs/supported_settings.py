"""Table of the settings of a job: effect on this machine, and reason. The docs print it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Path = tuple[str | int, ...]


class Effect(StrEnum):
    """Effect of a setting on this machine."""

    SUPPORTED = "as on Databricks"
    PRINTED = "printed: recipients and times of notifications"
    NONE = "no effect here"
    REFUSED = "refused"


@dataclass(frozen=True)
class Setting:
    """One row of the table. whole: the row covers all settings below it too."""

    name: str
    effect: Effect
    reason: str
    whole: bool = True


@dataclass(frozen=True)
class FoundSetting:
    """A setting of a job, with its path in the job."""

    path: Path
    setting: Setting


_OTHER_TYPES = (
    *("ai_runtime_task", "alert_task", "clean_rooms_notebook_task", "condition_task", "dashboard_task", "dbt_task"),
    *("dbt_platform_task", "for_each_task", "gen_ai_compute_task", "notebook_task", "pipeline_task", "power_bi_task"),
    *("python_operator_task", "run_job_task", "spark_jar_task", "spark_submit_task", "sql_task"),
)
_MACHINES = (
    *("node_type_id", "driver_node_type_id", "num_workers", "autoscale", "is_single_node", "aws_attributes"),
    *("azure_attributes", "gcp_attributes", "instance_pool_id", "driver_instance_pool_id", "enable_elastic_disk"),
    *("enable_local_disk_encryption", "remote_disk_throughput", "total_initial_remote_disk_size"),
    *("driver_node_type_flexibility", "worker_node_type_flexibility"),
)
_NOTIFY_ON = ("on_start", "on_success", "on_failure", "on_duration_warning_threshold_exceeded")
_SWITCHES = ("no_alert_for_skipped_runs", "no_alert_for_canceled_runs")


def _of_notifications(prefix: str) -> Iterator[Setting]:
    for kind in ("email_notifications", "webhook_notifications"):
        yield Setting(f"{prefix}{kind}", Effect.PRINTED, "nothing is sent from this machine", False)
        for name in (*_NOTIFY_ON, "on_streaming_backlog_exceeded"):
            yield Setting(f"{prefix}{kind}.{name}", Effect.PRINTED, "nothing is sent from this machine")
        for name in ("on_maintenance_start", "on_maintenance_complete"):
            yield Setting(f"{prefix}{kind}.{name}", Effect.NONE, "this machine has no platform maintenance")
    name = f"{prefix}email_notifications.no_alert_for_skipped_runs"
    yield Setting(name, Effect.PRINTED, "older name of the switch in notification_settings")
    yield Setting(f"{prefix}notification_settings", Effect.PRINTED, "selects the printed recipients", False)
    for name in (*_SWITCHES, *(("alert_on_last_attempt",) if prefix else ())):
        yield Setting(f"{prefix}notification_settings.{name}", Effect.PRINTED, "selects the printed recipients")
    yield Setting(f"{prefix}health", Effect.PRINTED, "duration rules; the backlog is not measured here")


def _of_cluster(prefix: str) -> Iterator[Setting]:
    yield Setting(prefix, Effect.SUPPORTED, "a separate Spark driver; workers are threads of it", False)
    yield Setting(f"{prefix}.spark_conf", Effect.SUPPORTED, "passed to the driver")
    yield Setting(f"{prefix}.spark_env_vars", Effect.SUPPORTED, "passed to driver and tasks")
    for name in _MACHINES:
        yield Setting(f"{prefix}.{name}", Effect.NONE, "this machine is used; local.yml has the sizes")
    yield Setting(f"{prefix}.spark_version", Effect.NONE, "the installed Spark and Delta are used")
    dedicated = "every driver works like a dedicated cluster"
    yield Setting(f"{prefix}.data_security_mode", Effect.NONE, f"{dedicated}; the standard mode is refused")
    yield Setting(f"{prefix}.single_user_name", Effect.NONE, "tasks run as you")
    for name in ("kind", "use_ml_runtime", "runtime_engine"):
        yield Setting(f"{prefix}.{name}", Effect.NONE, "the installed runtime is used")
    for name in ("policy_id", "apply_policy_default_values", "custom_tags", "cluster_name", "autotermination_minutes"):
        yield Setting(f"{prefix}.{name}", Effect.NONE, "concerns clusters of a workspace")
    yield Setting(f"{prefix}.workload_type", Effect.NONE, "concerns clusters of a workspace")
    yield Setting(f"{prefix}.cluster_log_conf", Effect.NONE, "logs are in the runner's folder")
    yield Setting(f"{prefix}.ssh_public_keys", Effect.NONE, "the driver runs on this machine")
    for name in ("init_scripts", "docker_image", "dependency_mode"):
        yield Setting(f"{prefix}.{name}", Effect.REFUSED, "it installs software: install it here by hand")


def _table() -> Iterator[Setting]:
    same, none, refused = Effect.SUPPORTED, Effect.NONE, Effect.REFUSED
    yield Setting("name", same, "as the reference {{job.name}}, and for display")
    yield Setting("parameters", same, "pushed down to tasks with named parameters; --param overrides them")
    yield Setting("timeout_seconds", same, "a longer run is canceled")
    yield Setting("max_concurrent_runs", same, "further runs are queued or skipped")
    yield Setting("queue", same, "further runs wait")
    yield Setting("schedule", same, "runs start by the schedule, with --until", False)
    for name in ("quartz_cron_expression", "timezone_id", "pause_status"):
        yield Setting(f"schedule.{name}", same, "as in Quartz; a paused job runs only on request")
    yield Setting("schedule.sql_condition", refused, "needs a SQL warehouse")
    yield Setting("continuous", same, "a new run follows each one", False)
    yield Setting("continuous.pause_status", same, "a paused job runs only on request")
    yield Setting("continuous.task_retry_mode", same, "unpublished limits are assumptions")
    yield Setting("continuous.maintenance_window", none, "this machine has no platform maintenance")
    yield Setting("trigger", same, "runs start by its interval, with --until", False)
    yield Setting("trigger.pause_status", same, "a paused job runs only on request")
    yield Setting("trigger.periodic", same, "counted from midnight UTC; the platform does not publish its start")
    unwatched = "files, tables and models are not watched here: use an interval (periodic) for this target"
    for name in ("file_arrival", "table_update", "model", "job_completion", "sql_condition"):
        yield Setting(f"trigger.{name}", refused, unwatched)
    yield Setting("triggers", refused, unwatched)
    for name in ("tags", "description", "permissions", "lifecycle", "parent_path", "deployment", "edit_mode", "format"):
        yield Setting(name, none, "concerns the job in a workspace")
    yield Setting("run_as", none, "tasks run as you")
    for name in ("budget_policy_id", "usage_policy_id", "performance_target", "duration_target"):
        yield Setting(name, none, "concerns serverless compute")
    for name in ("environments", "environment_variables"):
        yield Setting(name, refused, "serverless compute is not supported here: use a job cluster")
    yield Setting("git_source", refused, "tasks run the code of this folder, not of a remote repository")
    yield from _of_notifications("")
    yield Setting("job_clusters", same, "one Spark driver each, from its first task to its last one", False)
    yield Setting("job_clusters[]", same, "one Spark driver each, from its first task to its last one", False)
    yield Setting("job_clusters[].job_cluster_key", same, "tasks with this key share the driver")
    yield Setting("job_clusters[].serverless_compute_id", refused, "serverless compute is not supported here")
    yield from _of_cluster("job_clusters[].new_cluster")
    yield Setting("tasks", same, "one Python process for each attempt", False)
    yield Setting("tasks[]", same, "one Python process for each attempt", False)
    yield from (Setting(f"tasks[].{name}", effect, reason) for name, effect, reason in _TASKS)
    yield Setting("tasks[].spark_python_task", same, "the file, with its parameters", False)
    for name in ("python_file", "parameters"):
        yield Setting(f"tasks[].spark_python_task.{name}", same, "the file, with its parameters")
    yield Setting("tasks[].spark_python_task.source", same, "WORKSPACE, the files of the bundle; GIT is refused")
    yield from _of_notifications("tasks[].")
    yield from _of_cluster("tasks[].new_cluster")
    for name in _OTHER_TYPES:
        yield Setting(f"tasks[].{name}", refused, "only Python wheel and Python file tasks are supported")


_TASKS = (
    ("task_key", Effect.SUPPORTED, "as the reference {{task.name}}"),
    ("python_wheel_task", Effect.SUPPORTED, "the entry point of the installed package"),
    ("depends_on", Effect.SUPPORTED, "the task waits for their end"),
    ("run_if", Effect.SUPPORTED, "all six values"),
    ("max_retries", Effect.SUPPORTED, "-1 means no limit"),
    ("min_retry_interval_millis", Effect.SUPPORTED, "from start to start"),
    ("retry_on_timeout", Effect.SUPPORTED, "without it a timed-out attempt is not retried"),
    ("timeout_seconds", Effect.SUPPORTED, "a longer attempt is ended"),
    ("job_cluster_key", Effect.SUPPORTED, "the shared driver"),
    (
        "libraries",
        Effect.NONE,
        "the bundle's own wheel and the packages of this machine are used, not those of a requirements file; other "
        "libraries are refused: install them by hand",
    ),
    ("description", Effect.NONE, "concerns the job in a workspace"),
    ("disabled", Effect.NONE, "false; true is refused"),
    ("disable_auto_optimization", Effect.NONE, "concerns serverless compute"),
    ("existing_cluster_id", Effect.REFUSED, "existing clusters are not supported here: use a job cluster"),
    ("environment_key", Effect.REFUSED, "serverless compute is not supported here: use a job cluster"),
    ("environment_variables_key", Effect.REFUSED, "serverless compute is not supported here: use a job cluster"),
    ("compute", Effect.REFUSED, "serverless compute is not supported here: use a job cluster"),
)
# By name; `[]` marks a list.
SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in _table()}
_UNKNOWN = "this runner does not know the setting"
_STANDARD = ("DATA_SECURITY_MODE_STANDARD", "USER_ISOLATION")


def classify(job: Mapping[str, Any], own_wheel: bool) -> Iterator[FoundSetting]:
    """Return every setting of a resolved job with its effect. own_wheel: the bundle builds a wheel."""
    yield from _below(job, (), "", own_wheel)


def _below(value: Any, path: Path, name: str, own_wheel: bool) -> Iterator[FoundSetting]:
    parts: list[tuple[str | int, Any, str]]
    if isinstance(value, Mapping):
        parts = [(key, below, f"{name}.{key}" if name else key) for key, below in value.items()]
    else:
        parts = [(at, below, f"{name}[]") for at, below in enumerate(value)]
    for key, below, called in parts:
        setting = SETTINGS.get(called) or Setting(called, Effect.REFUSED, _UNKNOWN)
        if reason := _refused_value(called, below, own_wheel):
            setting = Setting(called, Effect.REFUSED, reason)
        if setting.whole or setting.effect is Effect.REFUSED:
            yield FoundSetting((*path, key), setting)
        else:
            yield from _below(below, (*path, key), called, own_wheel)


def _refused_value(name: str, value: Any, own_wheel: bool) -> str:
    """Return the reason why this value of a setting is refused, or an empty text."""
    if name.endswith(".data_security_mode") and value in _STANDARD:
        return "the standard mode runs foreachBatch outside the task's process; this runner does not"
    if name == "tasks[].disabled" and value:
        return "the effect of a disabled task on other tasks is not published: remove the task"
    if name == "tasks[].spark_python_task.source" and value != "WORKSPACE":
        return "tasks run the code of this folder, not of a remote repository"
    if name == "tasks[].depends_on" and any("outcome" in one for one in value):
        return "an outcome needs a condition task, which is not supported here"
    if name == "tasks[].libraries":
        for library in value:
            wheel = library.get("whl", "")
            if set(library) != {"requirements"} and not (
                own_wheel and wheel.endswith(".whl") and not wheel.startswith(("/", "dbfs:", "s3:", "abfss:", "gs:"))
            ):
                what = ", ".join(f"{kind} {source}" for kind, source in library.items())
                return f"{what} is not the bundle's own wheel: install it here by hand, and remove it from the task"
    return ""
