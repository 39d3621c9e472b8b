"""Notifications: each attempt of a task, a run at its end; the settings that mute them."""

from datetime import timedelta

import pytest
from databricks.sdk.service.jobs import JobsHealthMetric, RunIf

from dabs_lab.jobs.events import BacklogExceeded, Cancel, EventKind, Notify, RunNow
from dabs_lab.jobs.job_spec import HealthRule, JobSpec, NotificationKind, Notifications
from dabs_lab.runner.display import sentence
from dev.tests.jobs.simulation import START, Outcomes, Simulation, job, seconds, task

EVERYTHING = dict.fromkeys(NotificationKind, ("team@example.org",))
ALL = Notifications(EVERYTHING, {NotificationKind.FAILURE: ("hook",)})
EMAIL = Notifications({NotificationKind.FAILURE: ("team@example.org",)})
WEBHOOK = Notifications(webhooks={NotificationKind.FAILURE: ("hook",)})
LAST = Notifications(EVERYTHING, on_last_attempt_only=True)
OK, BAD = (10, 0), (10, 1)


def run(spec: JobSpec, outcomes: Outcomes) -> Simulation:
    simulation = Simulation(spec, outcomes)
    simulation.feed(RunNow(START))
    return simulation.run()


def test_a_task_notifies_about_each_failed_attempt_and_the_job_only_at_the_end() -> None:
    done = run(job(task("a", max_retries=2, notifications=ALL), notifications=ALL), {"a": [BAD]})
    assert done.notifications() == [(10, "a"), (20, "a"), (30, "a"), (30, None)]
    actions = [action for _, action in done.done if isinstance(action, Notify)]
    first = next(action for action in actions if action.kind is NotificationKind.FAILURE)
    assert (first.emails, first.webhooks) == (("team@example.org",), ("hook",))
    assert "is retried" in first.about


def test_the_display_names_email_addresses_and_notification_destinations() -> None:
    both = "team@example.org, destination hook"
    for recipients, named in ((EMAIL, "team@example.org"), (WEBHOOK, "destination hook"), (ALL, both)):
        done = run(job(task("a", notifications=recipients)), {"a": [BAD]})
        (event,) = [one for one in done.events if one.data.get("kind") == NotificationKind.FAILURE]
        assert f"{named} would be notified: attempt 1 of a ended: FAILED" in sentence(event)


def test_a_failure_followed_by_a_successful_retry_does_not_notify_the_job() -> None:
    done = run(job(task("a", max_retries=2, notifications=ALL), notifications=ALL), {"a": [BAD, OK]})
    assert done.notifications() == [(10, "a")]
    assert done.notifications(NotificationKind.SUCCESS) == [(20, "a"), (20, None)]


def test_alert_on_last_attempt_mutes_the_earlier_attempts() -> None:
    done = run(job(task("a", max_retries=2, notifications=LAST)), {"a": [BAD]})
    assert done.notifications() == [(30, "a")]
    assert done.notifications(NotificationKind.START) == [(0, "a")]


def test_the_start_of_the_run_and_of_each_attempt_is_notified() -> None:
    done = run(job(task("a", max_retries=1, notifications=ALL), notifications=ALL), {"a": [BAD, OK]})
    assert done.notifications(NotificationKind.START) == [(0, None), (0, "a"), (10, "a")]


def test_a_success_with_failures_is_notified_as_a_success() -> None:
    spec = job(task("a"), task("b", "a", run_if=RunIf.ALL_DONE), notifications=ALL)
    done = run(spec, {"a": [BAD], "b": [OK]})
    assert (done.notifications(), done.notifications(NotificationKind.SUCCESS)) == ([], [(20, None)])


@pytest.mark.parametrize("notified", [True, False])
def test_a_skipped_run_is_notified_unless_muted(notified: bool) -> None:
    recipients = Notifications(EVERYTHING, notify_skipped=notified)
    simulation = Simulation(job(task("a"), notifications=recipients), {"a": [(100, 0)]})
    simulation.feed(RunNow(START))
    simulation.feed(RunNow(START + seconds(5)))
    simulation.run()
    assert simulation.notifications() == ([(5, None)] if notified else [])


@pytest.mark.parametrize("notified", [True, False])
def test_a_canceled_run_is_notified_unless_muted(notified: bool) -> None:
    recipients = Notifications(EVERYTHING, notify_canceled=notified)
    simulation = Simulation(job(task("a", notifications=recipients), notifications=recipients), {"a": [None]})
    simulation.feed(RunNow(START))
    simulation.feed(Cancel(START + seconds(5), 1))
    simulation.run()
    assert simulation.notifications() == ([(6, "a"), (6, None)] if notified else [])


@pytest.mark.parametrize("notified", [True, False])
def test_a_task_skipped_after_a_failure_is_notified_unless_muted(notified: bool) -> None:
    recipients = Notifications(EVERYTHING, notify_skipped=notified)
    done = run(job(task("a"), task("b", "a", notifications=recipients)), {"a": [BAD]})
    assert done.notifications() == ([(10, "b")] if notified else [])


def test_a_run_and_an_attempt_over_their_duration_are_notified_once_each() -> None:
    rule = (
        HealthRule(JobsHealthMetric.RUN_DURATION_SECONDS, 30),
        HealthRule(JobsHealthMetric.STREAMING_BACKLOG_SECONDS, 5),
    )
    spec = job(
        task("a", health=rule, notifications=ALL, max_retries=1, min_retry_interval=timedelta(minutes=2)),
        health=rule,
        notifications=ALL,
    )
    done = run(spec, {"a": [(100, 1), (50, 0)]})
    assert done.notifications(NotificationKind.DURATION) == [(30, None), (30, "a"), (150, "a")]


def test_a_backlog_notifies_the_recipients_of_task_and_job() -> None:
    simulation = Simulation(job(task("a", notifications=ALL), notifications=ALL), {"a": [None]})
    simulation.feed(RunNow(START))
    simulation.feed(BacklogExceeded(START + seconds(9), 1, "a", "STREAMING_BACKLOG_SECONDS", 1200))
    assert simulation.notifications(NotificationKind.BACKLOG) == [(9, "a"), (9, None)]
    assert "STREAMING_BACKLOG_SECONDS is 1200" in str(simulation.events[-1].data["about"])


def test_each_notification_is_an_event_too() -> None:
    done = run(job(task("a", notifications=ALL)), {"a": [BAD]})
    (event,) = [one for one in done.events if one.kind is EventKind.NOTIFICATION and one.data["kind"] == "on_failure"]
    assert event.as_dict() == {
        "at": "2026-03-02T12:00:10.000Z",
        "event": "notification",
        "run": 1,
        "task": "a",
        "attempt": 2,
        "kind": "on_failure",
        "about": "attempt 1 of a ended: FAILED",
        "emails": ["team@example.org"],
        "webhooks": ["hook"],
    }
