"""Notifications and health rules of jobs and tasks, for rules."""

from dabs_lab.bundle.yaml_nodes import Node
from dabs_lab.check.job_views import TaskView
from dabs_lab.check.view import View, as_text

# Kinds of recipients: addresses, and destinations with an id.
SECTIONS = ("email_notifications", "webhook_notifications")
FAILURE = "on_failure"
# Prefix of the metrics of a health rule → event that it causes.
EVENT_OF_METRIC = {
    "STREAMING_BACKLOG": "on_streaming_backlog_exceeded",
    "RUN_DURATION": "on_duration_warning_threshold_exceeded",
}


def notifies(view: View, event: str) -> bool:
    """Return whether a job or a task has a recipient for an event."""
    # A reference without a value counts as recipients.
    if any(view.text(section) or view.text(section, event) for section in SECTIONS):
        return True
    found = (view.get(section, event) or Node(()) for section in SECTIONS)
    return any(recipient(item) for recipients in found for item in recipients.items)


def recipient(item: Node) -> str:
    """Return the address or the id of a destination; empty without one."""
    return (item.text_at("id") if item.kind == "map" else as_text(item)).strip()


def failure_is_notified(task: TaskView) -> bool:
    """Return whether the task, or the for_each_task around it, has a recipient for failures."""
    return notifies(task, FAILURE) or (task.outer is not None and notifies(task.outer, FAILURE))


def health_rules(view: View) -> list[View]:
    """Return the health rules of a job or a task."""
    return view.items("health", "rules")


def has_rule(view: View, metric: str = "") -> bool:
    """Return whether a job or a task has a health rule on a metric with a prefix."""
    return any(entry.text("metric").startswith(metric) for entry in health_rules(view))
