"""Each setting of a job: what becomes of it on this machine, and why. One table, which the docs print."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Path = tuple[str | int, ...]


class Effect(StrEnum):
    """What becomes of a setting."""

    AS_THERE = "as on Databricks"
    PRINTED = "printed: who would be told, and when"
    NONE = "no effect here"
    REFUSED = "refused"


@dataclass(frozen=True)
class Setting:
    """One line of the table; `whole` settings are taken with whatever is below them."""

    name: str
    effect: Effect
    reason: str
    whole: bool = True


@dataclass(frozen=True)
class Judged:
    """A setting that was found in a job, at a path below it."""

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
_TOLD = ("on_start", "on_success", "on_failure", "on_duration_warning_threshold_exceeded")
_SWITCHES = ("no_alert_for_skipped_runs", "no_alert_for_canceled_runs")


def _of_notifications(prefix: str) -> Iterator[Setting]:
    for kind in ("email_notifications", "webhook_notifications"):
        yield Setting(f"{prefix}{kind}", Effect.PRINTED, "nothing is sent from this machine", False)
        for name in (*_TOLD, "on_streaming_backlog_exceeded"):
            yield Setting(f"{prefix}{kind}.{name}", Effect.PRINTED, "nothing is sent from this machine")
        for name in ("on_maintenance_start", "on_maintenance_complete"):
            yield Setting(f"{prefix}{kind}.{name}", Effect.NONE, "no platform is maintained here")
    name = f"{prefix}email_notifications.no_alert_for_skipped_runs"
    yield Setting(name, Effect.PRINTED, "the older place of the switch in notification_settings")
    yield Setting(f"{prefix}notification_settings", Effect.PRINTED, "decides who would be told", False)
    for name in (*_SWITCHES, *(("alert_on_last_attempt",) if prefix else ())):
        yield Setting(f"{prefix}notification_settings.{name}", Effect.PRINTED, "decides who would be told")
    yield Setting(f"{prefix}health", Effect.PRINTED, "a run that lasts too long; the backlog is not measured here")


def _of_cluster(prefix: str) -> Iterator[Setting]:
    yield Setting(prefix, Effect.AS_THERE, "a Spark driver of its own, with workers as threads in it", False)
    yield Setting(f"{prefix}.spark_conf", Effect.AS_THERE, "handed to the driver")
    yield Setting(f"{prefix}.spark_env_vars", Effect.AS_THERE, "handed to driver and tasks")
    for name in _MACHINES:
        yield Setting(f"{prefix}.{name}", Effect.NONE, "the machine is this one; its sizes are in local.yml")
    yield Setting(f"{prefix}.spark_version", Effect.NONE, "Spark and Delta are those that are installed")
    why = "every driver here is as on a dedicated cluster"
    yield Setting(f"{prefix}.data_security_mode", Effect.NONE, f"{why}; the standard mode is refused")
    yield Setting(f"{prefix}.single_user_name", Effect.NONE, "the identity is yours")
    for name in ("kind", "use_ml_runtime", "runtime_engine"):
        yield Setting(f"{prefix}.{name}", Effect.NONE, "the runtime is what is installed")
    for name in ("policy_id", "apply_policy_default_values", "custom_tags", "cluster_name", "autotermination_minutes"):
        yield Setting(f"{prefix}.{name}", Effect.NONE, "for the workspace that keeps clusters")
    yield Setting(f"{prefix}.workload_type", Effect.NONE, "for the workspace that keeps clusters")
    yield Setting(f"{prefix}.cluster_log_conf", Effect.NONE, "logs are in the runner's folder")
    yield Setting(f"{prefix}.ssh_public_keys", Effect.NONE, "you are on the machine")
    for name in ("init_scripts", "docker_image", "dependency_mode"):
        yield Setting(f"{prefix}.{name}", Effect.REFUSED, "it changes what is installed: install that here by hand")


def _table() -> Iterator[Setting]:
    there, none, refused = Effect.AS_THERE, Effect.NONE, Effect.REFUSED
    yield Setting("name", there, "as the reference {{job.name}} and in what is shown")
    yield Setting("parameters", there, "pushed down to tasks with named parameters; --param gives others")
    yield Setting("timeout_seconds", there, "a run that lasts longer is canceled")
    yield Setting("max_concurrent_runs", there, "a run too many is queued or skipped")
    yield Setting("queue", there, "a run too many waits")
    yield Setting("schedule", there, "runs start by the time-table, with --until", False)
    for name in ("quartz_cron_expression", "timezone_id", "pause_status"):
        yield Setting(f"schedule.{name}", there, "as Quartz counts; a paused job runs only when asked for")
    yield Setting("schedule.sql_condition", refused, "there is no SQL warehouse here")
    yield Setting("continuous", there, "a new run follows each one", False)
    yield Setting("continuous.pause_status", there, "a paused job runs only when asked for")
    yield Setting("continuous.task_retry_mode", there, "the limits that are not published are assumptions")
    yield Setting("continuous.maintenance_window", none, "no platform is maintained here")
    yield Setting("trigger", there, "runs start by its interval, with --until", False)
    yield Setting("trigger.pause_status", there, "a paused job runs only when asked for")
    yield Setting("trigger.periodic", there, "counted from midnight UTC; the platform's first moment is not published")
    watched = "nothing here watches files, tables or models: give the trigger an interval (periodic) for this target"
    for name in ("file_arrival", "table_update", "model", "job_completion", "sql_condition"):
        yield Setting(f"trigger.{name}", refused, watched)
    yield Setting("triggers", refused, watched)
    for name in ("tags", "description", "permissions", "lifecycle", "parent_path", "deployment", "edit_mode", "format"):
        yield Setting(name, none, "for the workspace that keeps the job")
    yield Setting("run_as", none, "everything runs as you")
    for name in ("budget_policy_id", "usage_policy_id", "performance_target", "duration_target"):
        yield Setting(name, none, "for serverless compute and its bill")
    for name in ("environments", "environment_variables"):
        yield Setting(name, refused, "serverless compute is not run here: use a job cluster")
    yield Setting("git_source", refused, "tasks run the code of this folder, not of a repository elsewhere")
    yield from _of_notifications("")
    yield Setting("job_clusters", there, "one Spark driver each, from the first task on it to the last", False)
    yield Setting("job_clusters[]", there, "one Spark driver each, from the first task on it to the last", False)
    yield Setting("job_clusters[].job_cluster_key", there, "tasks that name it share the driver")
    yield Setting("job_clusters[].serverless_compute_id", refused, "serverless compute is not run here")
    yield from _of_cluster("job_clusters[].new_cluster")
    yield Setting("tasks", there, "one Python process for each attempt", False)
    yield Setting("tasks[]", there, "one Python process for each attempt", False)
    yield from (Setting(f"tasks[].{name}", effect, reason) for name, effect, reason in _TASKS)
    yield Setting("tasks[].spark_python_task", there, "the file, with its parameters", False)
    for name in ("python_file", "parameters"):
        yield Setting(f"tasks[].spark_python_task.{name}", there, "the file, with its parameters")
    yield Setting("tasks[].spark_python_task.source", there, "WORKSPACE, the files of the bundle; GIT is refused")
    yield from _of_notifications("tasks[].")
    yield from _of_cluster("tasks[].new_cluster")
    for name in _OTHER_TYPES:
        yield Setting(f"tasks[].{name}", refused, "tasks here are Python wheels and Python files")


_TASKS = (
    ("task_key", Effect.AS_THERE, "as the reference {{task.name}}"),
    ("python_wheel_task", Effect.AS_THERE, "the entry point of the installed package"),
    ("depends_on", Effect.AS_THERE, "it waits for the end of these"),
    ("run_if", Effect.AS_THERE, "all six values"),
    ("max_retries", Effect.AS_THERE, "-1 is for ever"),
    ("min_retry_interval_millis", Effect.AS_THERE, "from start to start"),
    ("retry_on_timeout", Effect.AS_THERE, "without it what timed out is not tried again"),
    ("timeout_seconds", Effect.AS_THERE, "an attempt that lasts longer is ended"),
    ("job_cluster_key", Effect.AS_THERE, "the driver that it shares"),
    ("libraries", Effect.NONE, "the project's own wheel is installed; others are refused: install them by hand"),
    ("description", Effect.NONE, "for the workspace that keeps the job"),
    ("disabled", Effect.NONE, "when it is false; true is refused"),
    ("disable_auto_optimization", Effect.NONE, "for serverless compute"),
    ("existing_cluster_id", Effect.REFUSED, "that cluster is not here: use a job cluster"),
    ("environment_key", Effect.REFUSED, "serverless compute is not run here: use a job cluster"),
    ("environment_variables_key", Effect.REFUSED, "serverless compute is not run here: use a job cluster"),
    ("compute", Effect.REFUSED, "serverless compute is not run here: use a job cluster"),
)
# By name: lists have [] behind them.
SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in _table()}
_UNKNOWN = "this runner does not know it, and so cannot say that it has no effect"
_STANDARD = ("DATA_SECURITY_MODE_STANDARD", "USER_ISOLATION")


def judged(job: Mapping[str, Any], own_wheel: bool) -> Iterator[Judged]:
    """Every setting of a resolved job, with what becomes of it; `own_wheel`: the bundle builds a wheel itself."""
    yield from _below(job, (), "", own_wheel)


def _below(value: Any, path: Path, name: str, own_wheel: bool) -> Iterator[Judged]:
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
            yield Judged((*path, key), setting)
        else:
            yield from _below(below, (*path, key), called, own_wheel)


def _refused_value(name: str, value: Any, own_wheel: bool) -> str:
    """Why this value of a setting is refused where others are not; an empty text when it is not."""
    if name.endswith(".data_security_mode") and value in _STANDARD:
        return "under the standard mode foreachBatch runs apart from the task's process, and here it does not"
    if name == "tasks[].disabled" and value:
        return "how a disabled task counts for the others is not published: take the task out"
    if name == "tasks[].spark_python_task.source" and value != "WORKSPACE":
        return "tasks run the code of this folder, not of a repository elsewhere"
    if name == "tasks[].depends_on" and any("outcome" in one for one in value):
        return "an outcome is for condition tasks, and tasks here are Python wheels and Python files"
    if name == "tasks[].libraries":
        for library in value:
            wheel = library.get("whl", "")
            if not (
                own_wheel and wheel.endswith(".whl") and not wheel.startswith(("/", "dbfs:", "s3:", "abfss:", "gs:"))
            ):
                what = ", ".join(f"{kind} {source}" for kind, source in library.items())
                return f"{what} is not the bundle's own wheel: install it here by hand, and take it out to run"
    return ""
