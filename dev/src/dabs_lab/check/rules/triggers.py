"""Rules on what starts the runs of a job."""

from collections.abc import Iterator

from dabs_lab.check.declaration import TRIGGER, Finding, Outcome, cannot_tell, rule
from dabs_lab.check.views import PAUSED, TRIGGERS, UNPAUSED, ResourceView, TargetView, View

_CONTINUOUS = "https://docs.databricks.com/aws/en/jobs/continuous"
_MODES = "https://docs.databricks.com/aws/en/dev-tools/bundles/deployment-modes"


@rule(
    id="D101",
    name="continuous-with-dependencies",
    severity="error",
    title="A task of a continuous job depends on another task",
    reason="Continuous jobs allow no task dependencies. `databricks bundle validate` does not report it.",
    source=_CONTINUOUS,
    fix="Start the tasks in parallel, or replace `continuous` by a schedule and let each task end (availableNow).",
)
def continuous_with_dependencies(target: TargetView) -> Iterator[Outcome]:
    """Yield each `depends_on` in a continuous job."""
    for task in target.tasks:
        if task.job.has("continuous") and task.depends_on:
            on = ", ".join(task.depends_on)
            yield Finding(task.at("depends_on"), f"task {task.key} of continuous job {task.job.key} depends on {on}")


@rule(
    id="D102",
    name="continuous-with-retries",
    severity="error",
    title="A task of a continuous job sets retries",
    reason=(
        "Continuous jobs allow no retry policy on tasks: the platform retries by `task_retry_mode`, with its own limit."
        " The source does not say whether the setting is ignored or refused."
    ),
    source=_CONTINUOUS,
    fix="Remove `max_retries` and set `continuous.task_retry_mode: ON_FAILURE`.",
)
def continuous_with_retries(target: TargetView) -> Iterator[Outcome]:
    """Yield each `max_retries` other than 0 in a continuous job."""
    for task in target.tasks:
        retries = task.number("max_retries")
        if task.job.has("continuous") and retries:
            message = f"task {task.key} sets max_retries: {retries}, but job {task.job.key} is continuous"
            yield Finding(task.at("max_retries"), message)


@rule(
    id="D103",
    name="task-retry-mode-unset",
    severity="warning",
    title="A continuous job does not set task_retry_mode",
    reason=(
        "The API's default is NEVER, that of the UI is ON_FAILURE. A bundle gets NEVER: a failed task stays failed"
        " while another task of the run lives."
    ),
    source=f"{_CONTINUOUS}; JSON schema of the Databricks CLI, Continuous.task_retry_mode",
    fix="Set `task_retry_mode: ON_FAILURE`, or NEVER if a failed task must wait for a new run.",
)
def task_retry_mode_unset(target: TargetView) -> Iterator[Outcome]:
    """Yield each continuous job without `task_retry_mode`."""
    for job in target.jobs:
        if job.continuous is not None and not job.has("continuous", "task_retry_mode"):
            yield Finding(job.at("continuous"), f"continuous job {job.key} leaves task_retry_mode to the API: NEVER")


@rule(
    id="D104",
    name="several-triggers",
    severity="error",
    title="A job has more than one kind of trigger",
    reason="`continuous`, `schedule`, `trigger` and `triggers` exclude each other.",
    source="databricks/terraform-provider-databricks, docs/resources/job.md; databricks-sdk, JobSettings.triggers",
    fix="Keep one of them. The list `triggers` (Beta) holds several triggers of one job.",
)
def several_triggers(target: TargetView) -> Iterator[Outcome]:
    """Yield each trigger of a job after the first one."""
    for job in target.jobs:
        first, *others = job.triggers or ("",)
        for other in others:
            yield Finding(job.at(other), f"job {job.key} has {first} and {other}: they exclude each other")


@rule(
    id="D105",
    name="endless-stream-on-serverless",
    severity="error",
    title="A task of a continuous job runs an endless stream on serverless compute",
    reason="On serverless compute, a continuous job can only use bounded triggers such as availableNow.",
    source="https://docs.databricks.com/aws/en/jobs/compute",
    fix="Use a job cluster, or the trigger availableNow.",
)
def endless_stream_on_serverless(target: TargetView) -> Iterator[Outcome]:
    """Yield each serverless task of a continuous job with an endless trigger."""
    for task in target.tasks:
        if not task.job.has("continuous") or not task.is_serverless or task.streaming.is_stream is False:
            continue
        if task.streaming.trigger is None:
            yield cannot_tell(task, TRIGGER)
        elif task.streaming.endless:
            place = task.streaming.places.get("trigger", task.at())
            yield Finding(place, f"task {task.name()} runs an endless stream on serverless compute")


@rule(
    id="D106",
    name="unpaused-despite-preset",
    severity="warning",
    title="A literal UNPAUSED keeps a trigger active where the target pauses triggers",
    reason=(
        "Development mode and the preset `trigger_pause_status: PAUSED` pause only triggers without `pause_status`. A"
        " literal UNPAUSED starts the job in every target, so each developer's copy runs next to the others."
    ),
    source=f"{_MODES}; databricks/cli, apply_presets.go",
    fix="Remove `pause_status`, or set it by a variable that is PAUSED in this target.",
)
def unpaused_despite_preset(target: TargetView) -> Iterator[Outcome]:
    """Yield each literal `pause_status: UNPAUSED` of a job in a target that pauses triggers."""
    for job in target.jobs:
        sections: list[View] = [view for name in TRIGGERS if (view := job.view(name)) is not None]
        for trigger in [*sections, *job.items("triggers")]:
            yield from _literal_unpaused(target, trigger, job, "job")


@rule(
    id="D107",
    name="alert-unpaused-despite-preset",
    severity="warning",
    title="A literal UNPAUSED keeps the schedule of an SQL alert active where the target pauses triggers",
    reason=(
        "The preset pauses only schedules without `pause_status`. CLI versions before January 2026 pause no alerts at"
        " all."
    ),
    source="https://github.com/databricks/cli/issues/4316 and pull request 4323",
    fix="Remove `pause_status`, or set it by a variable that is PAUSED in this target.",
)
def alert_unpaused_despite_preset(target: TargetView) -> Iterator[Outcome]:
    """Yield each literal `pause_status: UNPAUSED` of an SQL alert in a target that pauses triggers."""
    for alert in target.resources("alerts"):
        schedule = alert.view("schedule")
        if schedule is not None:
            yield from _literal_unpaused(target, schedule, alert, "alert")


def _literal_unpaused(target: TargetView, trigger: View, owner: ResourceView, kind: str) -> Iterator[Outcome]:
    if target.root.text_at("presets", "trigger_pause_status") != PAUSED or trigger.text("pause_status") != UNPAUSED:
        return
    if target.resolved:
        yield cannot_tell(owner, "whether UNPAUSED comes from a variable")
    elif trigger.is_literal("pause_status"):
        message = f"{kind} {owner.key} stays active although the target pauses triggers: UNPAUSED is literal"
        yield Finding(trigger.at("pause_status"), message)


@rule(
    id="D109",
    name="continuous-pipeline-deprecated",
    severity="warning",
    title="A pipeline sets the deprecated `continuous: true`",
    reason="The setting is deprecated. A pipeline that a continuous job starts ignores it.",
    source="databricks-bundles 1.22, Pipeline.continuous",
    fix="Remove it and run the pipeline from a continuous job with a pipeline task.",
)
def continuous_pipeline_deprecated(target: TargetView) -> Iterator[Outcome]:
    """Yield each pipeline with `continuous: true`."""
    for pipeline in target.resources("pipelines"):
        if pipeline.is_true("continuous"):
            yield Finding(pipeline.at("continuous"), f"pipeline {pipeline.key} sets continuous: true")
