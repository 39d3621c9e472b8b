"""Rules on failures and backlogs of which nobody hears. Development mode is not checked for missing recipients."""

from collections.abc import Iterator

from dabs_lab.bundle import Position
from dabs_lab.bundle.yaml_nodes import Node
from dabs_lab.check.declaration import Finding, Outcome, rule
from dabs_lab.check.notifications import (
    EVENT_OF_METRIC,
    FAILURE,
    SECTIONS,
    failure_is_notified,
    has_rule,
    health_rules,
    notifies,
    recipient,
)
from dabs_lab.check.places import Place
from dabs_lab.check.stream_facts import if_stream
from dabs_lab.check.views import JobView, TargetView, TaskView, View

_NOTIFICATIONS = "https://docs.databricks.com/aws/en/jobs/notifications"
_BACKLOG = "STREAMING_BACKLOG"
_MOST_DESTINATIONS = 3
# Domains that RFC 2606 reserves for examples: no mail arrives there.
_NO_MAIL = ("example.com", "example.org", "example.net")


@rule(
    id="D501",
    name="failure-notification-of-job-only",
    severity="warning",
    title="A stream is retried, and only the job notifies of failures",
    reason=(
        "The failure notification of a job is not sent while a failed task is retried. A stream that fails again and"
        " again is then reported after its last retry, or never."
    ),
    source=_NOTIFICATIONS,
    fix="Add `on_failure` to `email_notifications` or `webhook_notifications` of the task.",
)
def failure_notification_of_job_only(target: TargetView) -> Iterator[Outcome]:
    """Yield each retried stream without own recipients whose job has some. D404 reports unlimited retries."""
    for task in _checked(target):
        if not _is_retried(task) or failure_is_notified(task) or not notifies(task.job, FAILURE):
            continue
        place = task.at("max_retries") if task.is_written("max_retries") else task.at()
        message = f"stream task {task.name()} is retried, but only job {task.job.key} notifies of failures"
        yield from if_stream(task, place, message)


@rule(
    id="D502",
    name="last-attempt-of-unlimited-retries",
    severity="error",
    title="A task notifies of its last attempt only, and retries without limit",
    reason="`alert_on_last_attempt` mutes all attempts but the last. `max_retries: -1` always allows a next one.",
    source="JSON schema of the Databricks CLI, TaskNotificationSettings.alert_on_last_attempt and Task.max_retries",
    fix="Remove `alert_on_last_attempt`, or limit the retries.",
)
def last_attempt_of_unlimited_retries(target: TargetView) -> Iterator[Outcome]:
    """Yield each `alert_on_last_attempt` of a task with unlimited retries."""
    for task in target.tasks:
        settings = ("notification_settings", "alert_on_last_attempt")
        if task.is_true(*settings) and (task.number("max_retries") or 0) < 0 and not task.job.has("continuous"):
            yield Finding(task.at(*settings), f"task {task.key} has no last attempt: it retries without limit")


@rule(
    id="D503",
    name="stream-without-health-rule",
    severity="warning",
    title="A stream has no rule on its backlog or duration",
    reason=(
        "A stream that lives but falls behind, or hangs, does not fail. Only a health rule reports it. A dead query may"
        " report no backlog, so a failure notification is needed too."
    ),
    source="https://docs.databricks.com/aws/en/structured-streaming/production; JSON schema, JobsHealthRules",
    fix="Add `health.rules` with STREAMING_BACKLOG_SECONDS, for a stream that ends also RUN_DURATION_SECONDS.",
)
def stream_without_health_rule(target: TargetView) -> Iterator[Outcome]:
    """Yield each stream of a job with a trigger where neither task nor job have a health rule."""
    for task in _checked(target):
        if not task.job.triggers or any(has_rule(level) for level in _levels(task)):
            continue
        yield from if_stream(task, task.at(), f"stream task {task.name()} of job {task.job.key} has no health rule")


@rule(
    id="D504",
    name="backlog-rule-on-pipeline",
    severity="warning",
    title="A backlog rule is on a pipeline task",
    reason="Backlog rules read the streams of a job's own tasks. They have no effect on the task of a pipeline.",
    source=_NOTIFICATIONS,
    fix="Watch the pipeline's event log or its own notifications; RUN_DURATION_SECONDS works for the task.",
    certain=False,
)
def backlog_rule_on_pipeline(target: TargetView) -> Iterator[Outcome]:
    """Yield each backlog rule on a pipeline task, or on a job that has only such tasks."""
    for job in target.jobs:
        for level in _without_backlog(job):
            for entry in health_rules(level):
                if entry.text("metric").startswith(_BACKLOG):
                    name = "job " + job.key if level is job else "pipeline task " + level.text("task_key")
                    yield Finding(entry.at("metric"), f"{entry.text('metric')} has no effect on {name}")


@rule(
    id="D505",
    name="health-rule-notifies-nobody",
    severity="warning",
    title="A health rule has no recipient",
    reason="A health rule notifies the recipients of its event. Without one, its breach is seen in the UI only.",
    source="JSON schema of the Databricks CLI, JobEmailNotifications and WebhookNotifications",
    fix=(
        "Add `on_streaming_backlog_exceeded` (backlog) or `on_duration_warning_threshold_exceeded` (duration) next to"
        " the rule."
    ),
)
def health_rule_notifies_nobody(target: TargetView) -> Iterator[Outcome]:
    """Yield each health rule whose event has no recipient, in the task or in the job. D504 reports useless rules."""
    for job, level in _jobs_and_tasks(target):
        recipients = [level, job] if level is not job else [job, *job.tasks]
        for entry in health_rules(level):
            if entry.text("metric").startswith(_BACKLOG) and level in _without_backlog(job):
                continue
            for metric, event in EVENT_OF_METRIC.items():
                if entry.text("metric").startswith(metric) and not any(notifies(one, event) for one in recipients):
                    yield Finding(entry.at(), f"{entry.text('metric')} of {_name(level)} has no recipient in {event}")


@rule(
    id="D506",
    name="recipient-without-health-rule",
    severity="warning",
    title="A notification about backlog or duration has no health rule",
    reason="Without a rule on the metric in `health`, these notifications are not sent.",
    source="JSON schema of the Databricks CLI, JobEmailNotifications.on_duration_warning_threshold_exceeded",
    fix="Add a rule with the metric and a threshold to `health.rules`, or remove the recipients.",
)
def recipient_without_health_rule(target: TargetView) -> Iterator[Outcome]:
    """Yield each event with recipients, where no task or job with these recipients has a rule for it."""
    for metric, event in EVENT_OF_METRIC.items():
        # One variable or anchor may give several tasks their recipients, and only some of them a rule.
        with_rule: set[Position] = set()
        without: list[tuple[Place, str]] = []
        for job, level in _jobs_and_tasks(target):
            levels = [level, job] if level is not job else [job, *job.tasks]
            for section in SECTIONS:
                node = level.get(section, event)
                if node is None or not node.items:
                    continue
                place = level.at(section, event)
                if any(has_rule(one, metric) for one in levels):
                    with_rule.add(place.position)
                else:
                    without.append((place, _name(level)))
        for place, name in without:
            if place.position not in with_rule:
                yield Finding(place, f"{event} of {name} is never sent: no rule on {metric}_…")


@rule(
    id="D507",
    name="stream-failure-notifies-nobody",
    severity="warning",
    title="Nobody is notified when a stream fails",
    reason=(
        "By default, no notification is sent. A failed stream leaves only older data in its tables, which may be found"
        " days later."
    ),
    source=_NOTIFICATIONS,
    fix="Add `on_failure` to `email_notifications` or `webhook_notifications` of the task.",
)
def stream_failure_notifies_nobody(target: TargetView) -> Iterator[Outcome]:
    """Yield each stream of a job with a trigger without a recipient for failures. D404 reports unlimited retries."""
    for task in _checked(target):
        if not task.job.triggers or failure_is_notified(task) or notifies(task.job, FAILURE) or _has_no_limit(task):
            continue
        yield from if_stream(
            task, task.at(), f"a failure of stream task {task.name()} of job {task.job.key} notifies nobody"
        )


@rule(
    id="D508",
    name="recipient-is-nobody",
    severity="warning",
    title="The recipient of a notification is empty or an example",
    reason=(
        "An empty text reaches nobody. The domains example.com, example.org and example.net are reserved, so no mail"
        " arrives there."
    ),
    source="RFC 2606, section 3; JSON schema of the Databricks CLI, JobEmailNotifications",
    fix="Write a real address, by a variable if it differs between targets, or remove the event.",
)
def recipient_is_nobody(target: TargetView) -> Iterator[Outcome]:
    """Yield each empty recipient, and each literal address in a domain for examples."""
    if target.mode == "development":
        return
    for _, level in _jobs_and_tasks(target):
        for section in SECTIONS:
            events = (level.get(section) or Node({})).children
            for event, node in events.items():
                for at, item in enumerate(node.items):
                    who = recipient(item)
                    is_example = who.rpartition("@")[2].lower() in _NO_MAIL and level.is_literal(section, event, at)
                    if not who or is_example:
                        what = f"{who}, an example" if who else "an empty text"
                        yield Finding(level.at(section, event, at), f"{event} of {_name(level)} goes to {what}")


@rule(
    id="D509",
    name="too-many-destinations",
    severity="error",
    title="An event has more than three webhook destinations",
    reason="The service takes at most three destinations for each event.",
    source="JSON schema of the Databricks CLI, WebhookNotifications",
    fix="Keep three, and forward the message from one of them.",
)
def too_many_destinations(target: TargetView) -> Iterator[Outcome]:
    """Yield each event with more than three webhook destinations."""
    for job in target.jobs:
        for level in (job, *job.tasks):
            for event, node in (level.get("webhook_notifications") or Node({})).children.items():
                if len(node.items) > _MOST_DESTINATIONS:
                    message = f"{event} of {_name(level)} has {len(node.items)} destinations, at most 3 are possible"
                    yield Finding(level.at("webhook_notifications", event), message)


def _checked(target: TargetView) -> Iterator[TaskView]:
    """Yield the tasks that may stream, outside development mode."""
    if target.mode != "development":
        yield from (task for task in target.tasks if task.can_stream and task.streaming.is_stream is not False)


def _jobs_and_tasks(target: TargetView) -> Iterator[tuple[JobView, View]]:
    """Yield each job with itself and with each of its tasks, outside development mode."""
    for job in target.jobs if target.mode != "development" else ():
        yield job, job
        yield from ((job, task) for task in job.tasks)


def _without_backlog(job: JobView) -> list[View]:
    """Return the pipeline tasks of a job, and the job if it has no others: backlog rules have no effect on them."""
    pipelines = [task for task in job.tasks if task.kind == "pipeline_task"]
    return [*pipelines, *([job] if pipelines and len(pipelines) == len(job.tasks) else [])]


def _levels(task: TaskView) -> list[View]:
    """Return the task, the for_each_task around it, and the job."""
    return [task, *([task.outer] if task.outer else []), task.job]


def _is_retried(task: TaskView) -> bool:
    """Return whether the platform retries the task, a limited number of times."""
    if task.job.has("continuous"):
        return task.job.text("continuous", "task_retry_mode") == "ON_FAILURE"
    return (task.number("max_retries") or 0) > 0


def _has_no_limit(task: TaskView) -> bool:
    return (task.number("max_retries") or 0) < 0 and not task.job.has("continuous")


def _name(level: View) -> str:
    return f"task {level.key}" if isinstance(level, TaskView) else f"job {level.path[-1]}"
