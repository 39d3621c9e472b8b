"""Shorten the platform's waiting times in a resolved bundle, so that a cell of the lab takes a minute."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from dabs_lab.jobs.assumptions import Assumptions, Backoff

_UNITS = {"MINUTES": 60, "HOURS": 3600, "DAYS": 86400, "WEEKS": 7 * 86400}
# A Quartz schedule of seconds divides a minute.
_DIVISORS = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)
_EVERY_MINUTES = "0 0/"


def scaled_bundle(resolved: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Return a resolved bundle whose retry intervals, timeouts and schedules are multiplied by a factor."""
    jobs = {key: _scaled_job(job, factor) for key, job in resolved["resources"]["jobs"].items()}
    return {**resolved, "resources": {**resolved["resources"], "jobs": jobs}}


def _scaled_job(job: Mapping[str, Any], factor: float) -> dict[str, Any]:
    found = {**job, "tasks": [_scaled_task(task, factor) for task in job.get("tasks") or ()]}
    trigger, schedule = job.get("trigger"), job.get("schedule")
    if trigger and trigger.get("periodic"):
        periodic = trigger["periodic"]
        seconds = periodic["interval"] * _UNITS[periodic["unit"]]
        del found["trigger"]
        found["schedule"] = _schedule(seconds * factor, trigger.get("pause_status"))
    elif schedule and (minutes := _minutes(schedule["quartz_cron_expression"])):
        found["schedule"] = _schedule(minutes * 60 * factor, schedule.get("pause_status"))
    return found


def _minutes(cron: str) -> int | None:
    """Return the minutes of a schedule `0 0/MINUTES * * * ?`, None for another one, which stays as it is."""
    minutes = cron.removeprefix(_EVERY_MINUTES).partition(" ")[0]
    return int(minutes) if cron.startswith(_EVERY_MINUTES) and minutes.isdigit() else None


def _schedule(seconds: float, pause: str | None) -> dict[str, Any]:
    every = min(_DIVISORS, key=lambda one: abs(one - seconds))
    cron = "0 * * * * ?" if every == 60 else f"0/{every} * * * * ?"
    return {"quartz_cron_expression": cron, "timezone_id": "UTC", "pause_status": pause or "UNPAUSED"}


def _scaled_task(task: Mapping[str, Any], factor: float) -> dict[str, Any]:
    found = dict(task)
    if wait := task.get("min_retry_interval_millis"):
        found["min_retry_interval_millis"] = round(wait * factor)
    if limit := task.get("timeout_seconds"):
        found["timeout_seconds"] = round(limit * factor)
    return found


def scaled_assumptions(factor: float) -> dict[str, object]:
    """Return the assumptions about the platform's waiting times for `local.yml`, multiplied by a factor."""
    known = Assumptions()

    def text(length: timedelta) -> str:
        # local.yml has whole seconds.
        return f"{max(1, round(length.total_seconds() * factor))} s"

    def backoff(pauses: Backoff) -> dict[str, object]:
        return {"first": text(pauses.first), "factor": pauses.factor, "longest": text(pauses.longest)}

    return {
        "task_backoff": backoff(known.task_backoff),
        "run_gap": text(known.run_gap),
        "run_backoff": backoff(known.run_backoff),
        "healthy_after": text(known.healthy_after),
    }
