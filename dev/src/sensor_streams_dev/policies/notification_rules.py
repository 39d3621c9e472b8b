"""Policies on the notifications of tasks: each event that needs a recipient has one, by e-mail or webhook."""

from collections.abc import Iterator, Mapping
from typing import Any

from dabs_lab.jobs.job_spec import NotificationKind
from sensor_streams_dev.policies.policy_file import PolicyFile
from sensor_streams_dev.policies.stream_tasks import Finding


def notification_rules(task: Mapping[str, Any], file: PolicyFile) -> Iterator[Finding]:
    """Yield the events of each task that have no recipient: path in the task, message."""
    for event in file.policies.notifications.events:
        yield from _without_recipient(task, event, "events", file)


def stream_notification_rules(task: Mapping[str, Any], file: PolicyFile) -> Iterator[Finding]:
    """Yield the events of a task with streams that have no recipient."""
    for event in file.policies.notifications.events_of_streams:
        yield from _without_recipient(task, event, "events_of_streams", file)


def _without_recipient(
    task: Mapping[str, Any], event: NotificationKind, field: str, file: PolicyFile
) -> Iterator[Finding]:
    names = [f"{kind}_notifications" for kind in file.policies.notifications.kinds]
    if not any(_recipients((task.get(name) or {}).get(event.value)) for name in names):
        missing = " or ".join(f"{name}.{event.value}" for name in names)
        what = f"no {missing}: add it, or {file.change('notifications', field)}"
        if event is NotificationKind.FAILURE:
            what += "; the notification of the job waits for all retries"
        yield (next((name for name in names if name in task), names[0]),), what


def _recipients(found: object) -> list[object]:
    """Return the recipients without empty ones: e-mail addresses, or ids of notification destinations."""
    recipients = found if isinstance(found, list) else []
    return [one for one in recipients if (one.get("id") if isinstance(one, Mapping) else one)]
