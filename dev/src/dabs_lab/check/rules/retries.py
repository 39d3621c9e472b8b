"""Rules on retries of tasks and on timeouts. Rules on `max_retries` skip continuous jobs: see D102."""

from collections.abc import Iterator

from dabs_lab.check.declaration import STREAMS, TRIGGER, Finding, Outcome, cannot_tell, rule
from dabs_lab.check.notifications import failure_is_notified
from dabs_lab.check.stream_facts import if_stream
from dabs_lab.check.views import TargetView, TaskView

_SCHEMA = "JSON schema of the Databricks CLI, Task"
_NOTIFICATIONS = "https://docs.databricks.com/aws/en/jobs/notifications"


@rule(
    id="D401",
    name="retries-without-interval",
    severity="warning",
    title="A task retries without an interval",
    reason=(
        "Without `min_retry_interval_millis`, a failed run is retried at once. A cause that lasts a minute, such as an"
        " unavailable catalog, uses up all retries."
    ),
    source=f"{_SCHEMA}.min_retry_interval_millis",
    fix="Set `min_retry_interval_millis`, for example 60000. It counts from start to start.",
)
def retries_without_interval(target: TargetView) -> Iterator[Outcome]:
    """Yield each task with retries and without an interval."""
    for task in _retried(target):
        interval = task.get("min_retry_interval_millis")
        if interval is None or task.number("min_retry_interval_millis") == 0:
            retries = task.number("max_retries")
            yield Finding(task.at("max_retries"), f"task {task.key} sets max_retries: {retries} without an interval")


@rule(
    id="D402",
    name="scheduled-stream-without-retries",
    severity="warning",
    title="A stream of a scheduled job has no retries",
    reason=(
        "Tasks are not retried by default. After a failure the stream stands still until the next run of the job, and"
        " the next run does not start while another stream keeps this one alive."
    ),
    source=f"{_SCHEMA}.max_retries; https://docs.databricks.com/aws/en/structured-streaming/production",
    fix="Set `max_retries` and `min_retry_interval_millis`. Write `max_retries: 0` if it must not be retried.",
)
def scheduled_stream_without_retries(target: TargetView) -> Iterator[Outcome]:
    """Yield each stream without `max_retries` in a job with a trigger. Serverless compute retries by itself."""
    if target.mode == "development":
        return
    for task in target.tasks:
        job = task.job
        if not job.triggers or job.has("continuous") or not task.can_stream or task.has("max_retries"):
            continue
        if task.is_serverless and not task.is_true("disable_auto_optimization"):
            continue
        message = f"task {task.name()} of job {job.key} runs a stream and is never retried"
        yield from if_stream(task, task.at(), message)


@rule(
    id="D403",
    name="timeout-on-endless-stream",
    severity="warning",
    title="A timeout ends a stream that is meant to be endless",
    reason=(
        "A timeout limits the duration of a run, not the time without progress. It ends a healthy endless stream as"
        " TIMEDOUT, and `retry_on_timeout` uses up a retry for that."
    ),
    source=f"{_SCHEMA}.timeout_seconds and retry_on_timeout",
    fix=(
        "Remove `timeout_seconds` and `retry_on_timeout`. To notice a stream without progress, use a backlog rule in"
        " `health`."
    ),
)
def timeout_on_endless_stream(target: TargetView) -> Iterator[Outcome]:
    """Yield each timeout, and each `retry_on_timeout`, of a task with an endless trigger or of its job."""
    for job in target.jobs:
        for task in job.tasks:
            limited = ["timeout_seconds"] if task.number("timeout_seconds") else []
            limited += ["retry_on_timeout"] if task.is_true("retry_on_timeout") else []
            of_job = bool(job.number("timeout_seconds"))
            if not task.can_stream or task.streaming.is_stream is False or not (limited or of_job):
                continue
            if task.streaming.trigger is None:
                yield cannot_tell(task, TRIGGER)
            elif task.streaming.endless:
                for name in limited:
                    yield Finding(task.at(name), f"task {task.name()} runs an endless stream and sets {name}")
                if of_job:
                    message = f"job {job.key} has a timeout, and its task {task.name()} runs an endless stream"
                    yield Finding(job.at("timeout_seconds"), message)


@rule(
    id="D404",
    name="unlimited-retries-without-notification",
    severity="warning",
    title="A task retries without limit and its failures notify nobody",
    reason=(
        "The notification of a job is not sent while a failed task is retried. With `max_retries: -1` this is forever,"
        " so a task that always fails is reported nowhere."
    ),
    source=_NOTIFICATIONS,
    fix="Add `email_notifications.on_failure` or `webhook_notifications.on_failure` to the task itself.",
)
def unlimited_retries_without_notification(target: TargetView) -> Iterator[Outcome]:
    """Yield each task with unlimited retries and without a recipient for its failures."""
    if target.mode == "development":
        return
    for task in _retried(target):
        if (task.number("max_retries") or 0) < 0 and not failure_is_notified(task):
            message = f"task {task.key} retries without limit, and no one is notified of its failures"
            yield Finding(task.at("max_retries"), message)


@rule(
    id="D405",
    name="serverless-retries",
    severity="warning",
    title="A task that must not be retried runs on serverless compute, which retries by itself",
    reason=(
        "Auto-optimization of serverless compute retries failed tasks, unless `disable_auto_optimization` is set."
        " No source says that `max_retries: 0` is enough."
    ),
    source="https://docs.databricks.com/aws/en/jobs/run-serverless-jobs",
    fix="Add `disable_auto_optimization: true` to the task.",
    certain=False,
)
def serverless_retries(target: TargetView) -> Iterator[Outcome]:
    """Yield each job with serverless tasks that set `max_retries: 0` and keep auto-optimization, at the first one."""
    for job in target.jobs:
        tasks = [
            task
            for task in job.tasks
            if task.is_serverless and task.number("max_retries") == 0 and not task.is_true("disable_auto_optimization")
        ]
        if tasks and not job.has("continuous"):
            names = ", ".join(task.key for task in tasks)
            yield Finding(
                tasks[0].at("max_retries"),
                f"job {job.key}: serverless compute may retry {names}, against max_retries: 0",
            )


@rule(
    id="D406",
    name="failed-stream-stays-failed",
    severity="warning",
    title="In a continuous job, a failed stream stays failed while another one lives",
    reason=(
        "With `task_retry_mode: NEVER`, all tasks must fail before a continuous job starts a new run. A failed stream"
        " next to a living one is therefore not restarted."
    ),
    source="https://docs.databricks.com/aws/en/structured-streaming/production (retries of several tasks)",
    fix="Set `continuous.task_retry_mode: ON_FAILURE`, or give each stream a job of its own.",
    certain=False,
)
def failed_stream_stays_failed(target: TargetView) -> Iterator[Outcome]:
    """Yield each continuous job with several streams and an explicit NEVER. D103 reports an unset mode."""
    for job in target.jobs:
        if job.text("continuous", "task_retry_mode") != "NEVER":
            continue
        candidates = [
            task
            for task in job.tasks
            if task.can_stream and task.streaming.is_stream is not False and task.streaming.trigger != "bounded"
        ]
        streams = [task for task in candidates if task.streaming.is_stream]
        if len(streams) > 1:
            names = ", ".join(task.name() for task in streams)
            message = f"tasks {names}: a stream that fails is not restarted while another one lives"
            yield Finding(job.at("continuous", "task_retry_mode"), message)
        elif len(candidates) > 1:
            for task in candidates:
                if task.streaming.is_stream is None:
                    yield cannot_tell(task, STREAMS)


def _retried(target: TargetView) -> Iterator[TaskView]:
    """Yield the tasks with retries, outside continuous jobs."""
    for task in target.tasks:
        if task.number("max_retries") and not task.job.has("continuous"):
            yield task
