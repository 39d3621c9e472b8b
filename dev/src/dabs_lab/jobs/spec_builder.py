"""Build a JobSpec from a job of a bundle; refuse unsupported settings with file and line."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from databricks.sdk.service.jobs import JobsHealthMetric, RunIf, TaskRetryMode

from dabs_lab.bundle import Bundle, BundleError, Position, Problem
from dabs_lab.bundle.problems import path_text
from dabs_lab.jobs.dynamic_values import UnknownReferenceError, check, literal_braces, references
from dabs_lab.jobs.job_spec import (
    ClusterSpec,
    Continuous,
    HealthRule,
    JobSpec,
    NoEffect,
    NotificationKind,
    Notifications,
    PythonFileTask,
    Schedule,
    TaskSpec,
    WheelTask,
)
from dabs_lab.jobs.quartz import QuartzError, parse_quartz
from dabs_lab.jobs.supported_settings import Effect, Path, classify
from dabs_lab.jobs.task_graph import check_graph

# References that a deployment resolves: `${resources.schemas.live.name}`.
_RESOURCE = re.compile(r"\$\{resources\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_]+)\}")
# Retry policy of a task, which a continuous job does not accept.
_RETRIES = ("max_retries", "min_retry_interval_millis", "retry_on_timeout")

# Schedules for the trigger intervals that divide a day evenly.
_QUARTZ = {
    "MINUTES": {n: f"0 0/{n} * * * ?" for n in range(1, 60) if 60 % n == 0} | {60: "0 0 * * * ?"},
    "HOURS": {n: f"0 0 0/{n} * * ?" for n in range(1, 24) if 24 % n == 0} | {24: "0 0 0 * * ?"},
    "DAYS": {1: "0 0 0 * * ?"},
}


def job_spec(bundle: Bundle, key: str) -> JobSpec:
    """Return the spec of a job by its key in `resources.jobs`.

    Raises BundleError with file, line and remedy of each problem: an unknown job, values that the typed models reject,
    settings that the runner does not support, and settings that the Jobs service would refuse.
    """
    jobs = bundle.resources_without_nulls.get("jobs", {})
    if key not in jobs:
        known = ", ".join(sorted(jobs)) or "none"
        raise BundleError([Problem(f"the bundle has no job {key}", remedy=f"its jobs are: {known}")])
    unknown = [one for one in bundle.unresolved if one.path.startswith(f"jobs.{key}.")]
    if unknown:
        remedy = "give a variable its value with --var, or write the value"
        raise BundleError([replace(one, path=f"resources.{one.path}", remedy=remedy) for one in unknown])
    if key in bundle.malformed_jobs:
        raise BundleError([bundle.malformed_jobs[key]])
    # The typed models reject unknown fields, enum values and wrong numbers.
    _ = bundle.jobs[key]
    return _Builder(bundle, key).build()


class _Builder:
    def __init__(self, bundle: Bundle, key: str) -> None:
        self._bundle = bundle
        self._key = key
        self._job: Mapping[str, Any] = bundle.resources_without_nulls["jobs"][key]
        self._problems: list[Problem] = []
        self._warnings: list[str] = []

    def build(self) -> JobSpec:
        no_effect = self._classify()
        self._raise_problems()
        job = self._job
        clusters = {
            one["job_cluster_key"]: _cluster(one["job_cluster_key"], one.get("new_cluster", {}), own=False)
            for one in job.get("job_clusters", [])
        }
        tasks = [self._task(at, task, clusters) for at, task in enumerate(job.get("tasks", []))]
        self._raise_problems()
        check_graph(tasks, lambda at, what, remedy: self._refuse(("tasks", *at), what, remedy))
        started_by = [kind for kind in ("schedule", "trigger", "continuous") if kind in job]
        if len(started_by) > 1:
            what = "is both scheduled and continuous" if "trigger" not in started_by else "has two triggers"
            self._refuse((started_by[-1],), what, "keep one")
        spec = JobSpec(
            key=self._key,
            name=job.get("name", "Untitled"),
            tasks=tuple(tasks),
            parameters={
                one["name"]: self._text(("parameters", at, "default"), str(one["default"]))
                for at, one in enumerate(job.get("parameters", []))
            },
            timeout=_seconds(job.get("timeout_seconds")),
            max_concurrent_runs=job.get("max_concurrent_runs", 1),
            queue=job.get("queue", {}).get("enabled", False),
            schedule=self._schedule(),
            continuous=self._continuous(),
            notifications=_notifications(job),
            health=_health(job),
            no_effect=no_effect,
        )
        self._raise_problems()
        self._check_references(spec)
        self._raise_problems()
        return JobSpec(**{**spec.__dict__, "warnings": tuple(self._warnings)})

    def _classify(self) -> tuple[NoEffect, ...]:
        wheels = any(one.get("type") == "whl" for one in self._bundle.sections.get("artifacts", {}).values())
        found = []
        for one in classify(self._job, wheels):
            if one.setting.effect is Effect.REFUSED:
                self._refuse(one.path, "is not supported here", one.setting.reason)
            elif one.setting.effect is Effect.NONE:
                found.append(NoEffect(self._name(one.path), self._position(one.path), one.setting.reason))
        return tuple(found)

    def _task(self, at: int, task: Mapping[str, Any], clusters: Mapping[str, ClusterSpec]) -> TaskSpec:
        path: Path = ("tasks", at)
        cluster = clusters.get(task.get("job_cluster_key", ""))
        if "new_cluster" in task:
            cluster = _cluster(task["task_key"], task["new_cluster"], own=True)
        if cluster is None:
            named = task.get("job_cluster_key")
            what = f"job cluster {named} is not declared" if named else "has no cluster"
            self._refuse((*path, "job_cluster_key"), what, "declare it in job_clusters and name it")
            cluster = ClusterSpec("")
        retries, interval = task.get("max_retries", 0), task.get("min_retry_interval_millis", 0)
        if retries < -1 or interval < 0 or task.get("timeout_seconds", 0) < 0:
            self._refuse(path, "has negative retries, interval or timeout", "only max_retries may be -1")
        return TaskSpec(
            key=task["task_key"],
            work=self._work(path, task),
            cluster=cluster,
            depends_on=tuple(one["task_key"] for one in task.get("depends_on", [])),
            run_if=RunIf(task.get("run_if", "ALL_SUCCESS")),
            max_retries=retries,
            min_retry_interval=timedelta(milliseconds=interval),
            retry_on_timeout=task.get("retry_on_timeout", False),
            timeout=_seconds(task.get("timeout_seconds")),
            notifications=_notifications(task),
            health=_health(task),
        )

    def _work(self, path: Path, task: Mapping[str, Any]) -> WheelTask | PythonFileTask:
        def positional(kind: str, values: list[str]) -> tuple[str, ...]:
            return tuple(self._text((*path, kind, "parameters", at), value) for at, value in enumerate(values))

        kinds = [kind for kind in ("python_wheel_task", "spark_python_task") if kind in task]
        if len(kinds) != 1:
            self._refuse(path, "has no task type, or more than one", "write one python_wheel_task or spark_python_task")
            return WheelTask("", "")
        work = task[kinds[0]]
        if kinds[0] == "spark_python_task":
            file = self._text((*path, kinds[0], "python_file"), work["python_file"])
            return PythonFileTask(file, positional(kinds[0], work.get("parameters", [])))
        if work.get("named_parameters") and work.get("parameters"):
            self._refuse((*path, kinds[0]), "has both named and positional parameters", "keep one kind")
        named = {
            name: self._text((*path, kinds[0], "named_parameters", name), str(value))
            for name, value in work.get("named_parameters", {}).items()
        }
        positional_ones = positional(kinds[0], work.get("parameters", []))
        return WheelTask(work["package_name"], work["entry_point"], named, positional_ones)

    def _schedule(self) -> Schedule | None:
        found = self._job.get("schedule")
        if found is None:
            return self._periodic()
        try:
            zone = ZoneInfo(found["timezone_id"])
        except (ZoneInfoNotFoundError, ValueError):
            what = f"unknown time zone: {found['timezone_id']}"
            self._refuse(("schedule", "timezone_id"), what, "write Europe/Berlin or UTC, for example")
            return None
        try:
            quartz = parse_quartz(found["quartz_cron_expression"])
        except QuartzError as error:
            self._refuse(("schedule", "quartz_cron_expression"), "is not a Quartz expression", str(error))
            return None
        return Schedule(quartz, zone, found.get("pause_status") == "PAUSED")

    def _periodic(self) -> Schedule | None:
        """Return a trigger's interval as a schedule; the platform does not publish when it starts to count."""
        trigger = self._job.get("trigger") or {}
        periodic = trigger.get("periodic")
        if periodic is None:
            return None
        every, unit = int(periodic["interval"]), str(periodic["unit"])
        quartz = _QUARTZ.get(unit, {}).get(every) if every > 0 else None
        if quartz is None:
            what = f"every {every} {unit.lower()} is not a supported interval"
            self._refuse(
                ("trigger", "periodic"), what, "write minutes that divide an hour, hours that divide a day, or 1 day"
            )
            return None
        return Schedule(parse_quartz(quartz), ZoneInfo("UTC"), trigger.get("pause_status") == "PAUSED")

    def _continuous(self) -> Continuous | None:
        found = self._job.get("continuous")
        if found is None:
            return None
        for at, task in enumerate(self._job["tasks"]):
            for name in ("depends_on", *_RETRIES):
                if task.get(name):
                    remedy = "remove it, or give the job a schedule"
                    what = "is not allowed in a continuous job: no dependencies, no retry policies (documented)"
                    self._refuse(("tasks", at, name), what, remedy)
        mode = TaskRetryMode(found.get("task_retry_mode", "NEVER"))
        return Continuous(mode, found.get("pause_status") == "PAUSED")

    def _check_references(self, spec: JobSpec) -> None:
        for at, name in enumerate(spec.parameters):
            path: Path = ("parameters", at, "default")
            self._check(path, spec.parameters[name], None, frozenset())
        for at, task in enumerate(spec.tasks):
            upstream = spec.upstream(task.key)
            kind = "python_wheel_task" if isinstance(task.work, WheelTask) else "spark_python_task"
            for number, text in enumerate(task.work.parameters):
                self._check(("tasks", at, kind, "parameters", number), text, spec.parameters.keys(), upstream)
            if isinstance(task.work, WheelTask):
                for name, text in task.work.named_parameters.items():
                    self._check(("tasks", at, kind, "named_parameters", name), text, spec.parameters.keys(), upstream)

    def _check(self, path: Path, text: str, parameters: Any, upstream: frozenset[str]) -> None:
        try:
            for reference in references(text):
                check(reference, parameters, upstream)
            for literal in literal_braces(text):
                where = self._position(path)
                self._warnings.append(f"{where}: {self._name(path)}: {literal} is not a reference and stays unchanged")
        except UnknownReferenceError as error:
            self._refuse(path, "cannot be resolved", str(error))

    def _text(self, path: Path, text: str) -> str:
        """Return a text with the values of references to other resources."""

        def known(match: re.Match[str]) -> str:
            value = self._bundle.resources_without_nulls.get(match[1], {}).get(match[2], {}).get(match[3])
            if not isinstance(value, str | int):
                self._refuse(path, f"{match[0]} is known only in a workspace", "write its value for this target")
                return match[0]
            return str(value)

        return _RESOURCE.sub(known, text)

    def _refuse(self, path: Path, what: str, remedy: str) -> None:
        self._problems.append(Problem(what, self._name(path), (self._position(path),), remedy=remedy))

    def _raise_problems(self) -> None:
        if self._problems:
            raise BundleError(self._problems)

    def _name(self, path: Path) -> str:
        return path_text(("resources", "jobs", self._key, *path))

    def _position(self, path: Path) -> Position:
        """Return the position of a value; of its parent if the value is missing."""
        while True:
            try:
                return self._bundle.position(("jobs", self._key, *path))
            except KeyError:
                path = path[:-1]


def _cluster(key: str, cluster: Mapping[str, Any], own: bool) -> ClusterSpec:
    return ClusterSpec(key, cluster.get("spark_conf", {}), cluster.get("spark_env_vars", {}), own)


def _seconds(value: int | None) -> timedelta | None:
    # 0 means no timeout.
    return timedelta(seconds=value) if value else None


def _health(found: Mapping[str, Any]) -> tuple[HealthRule, ...]:
    rules = found.get("health", {}).get("rules", [])
    return tuple(HealthRule(JobsHealthMetric(rule["metric"]), rule["value"]) for rule in rules)


def _notifications(found: Mapping[str, Any]) -> Notifications:
    emails, hooks = found.get("email_notifications", {}), found.get("webhook_notifications", {})
    switches = found.get("notification_settings", {})

    def by_kind(source: Mapping[str, Any], text: Callable[[Any], str]) -> dict[NotificationKind, tuple[str, ...]]:
        return {kind: tuple(map(text, source[kind.value])) for kind in NotificationKind if source.get(kind.value)}

    return Notifications(
        by_kind(emails, str),
        by_kind(hooks, lambda hook: str(hook["id"])),
        switches.get("alert_on_last_attempt", False),
        not (switches.get("no_alert_for_skipped_runs") or emails.get("no_alert_for_skipped_runs")),
        not switches.get("no_alert_for_canceled_runs", False),
    )
