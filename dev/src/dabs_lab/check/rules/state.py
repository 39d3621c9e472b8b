"""Rules on the tables of streams, on runs of a stream at the same time, and on protected storage."""

from collections.abc import Iterator

from dabs_lab.check.declaration import STREAMS, Finding, Outcome, cannot_tell, rule
from dabs_lab.check.stream_facts import is_shared_target, one_at_a_time, runs_streams
from dabs_lab.check.views import JobView, TargetView, TaskView


@rule(
    id="D605",
    name="two-writers-to-one-table",
    severity="warning",
    title="Two streams write the same table at the same time",
    reason=(
        "MERGE, UPDATE and DELETE of one stream conflict with writes of the other, and end it with a"
        " ConcurrentAppendException. Appends do not conflict; the bundle does not show which of them the code uses."
    ),
    source="https://docs.databricks.com/aws/en/optimizations/isolation-level",
    fix="Let one stream write the table: read both inputs in it, or write two tables and union them in a view.",
    certain=False,
)
def two_writers_to_one_table(target: TargetView) -> Iterator[Outcome]:
    """Yield each task that writes a table of an earlier task, unless the two never run at the same time."""
    writers: dict[str, list[TaskView]] = {}
    for task in target.tasks:
        shared: dict[str, list[str]] = {}
        doubt = False
        # A reference such as {{input}} has a value only in a run.
        tables = [table for table in task.streaming.writes or () if "{{" not in table]
        for table in tables:
            for other in writers.get(table.lower(), ()):
                both = _write_together(task, other)
                if both:
                    shared.setdefault(f"task {other.name(table)} of job {other.job.key}", []).append(table)
                    break
                doubt = doubt or both is None
        for table in tables:
            writers.setdefault(table.lower(), []).append(task)
        for other_task, tables in shared.items():
            message = f"{other_task} and task {task.name(tables[0])} of job {task.job.key} write {', '.join(tables)}"
            yield Finding(task.streaming.places["writes"], message)
        if doubt and not shared:
            yield cannot_tell(task, STREAMS)


def _write_together(task: TaskView, other: TaskView) -> bool | None:
    """Return whether two tasks stream into a table at the same time; None if it is not known that both stream."""
    same_streams = set(task.streaming.streams or ()) & set(other.streaming.streams or ())
    if one_at_a_time(task, other) or same_streams:
        return False
    if task.job is not other.job and not (task.job.is_live and other.job.is_live):
        return False
    both = (runs_streams(task), runs_streams(other))
    return False if False in both else None if None in both else True


@rule(
    id="D606",
    name="concurrent-runs-of-a-stream",
    severity="warning",
    title="A job with streams may have several runs at the same time",
    reason=(
        "Two runs of one stream use the same checkpoint: one of them fails, or they stop each other. Development mode"
        " sets 4 where the bundle does not give a number."
    ),
    source=(
        "https://docs.databricks.com/aws/en/structured-streaming/production;"
        " https://docs.databricks.com/aws/en/dev-tools/bundles/deployment-modes"
    ),
    fix="Write `max_concurrent_runs: 1`.",
)
def concurrent_runs_of_a_stream(target: TargetView) -> Iterator[Outcome]:
    """Yield each job with streams and more than one run. A continuous job has one, if the bundle does not change it."""
    for job in target.jobs:
        runs = job.number("max_concurrent_runs") or 1
        written = job.is_written("max_concurrent_runs")
        if runs <= 1 or (job.has("continuous") and not written):
            continue
        streams = _runs_streams(job)
        if streams:
            why = "" if written else "unset, and development mode sets "
            seen = next((f"; task {task.name()} runs a stream" for task in job.tasks if task.streaming.seen()), "")
            message = f"max_concurrent_runs of job {job.key} is {why}{runs}{seen}"
            yield Finding(job.at("max_concurrent_runs"), message)
        elif streams is None:
            yield cannot_tell(job, STREAMS)


def _runs_streams(job: JobView) -> bool | None:
    found = {runs_streams(task) for task in job.tasks}
    return True if True in found else None if None in found else False


@rule(
    id="D607",
    name="storage-without-prevent-destroy",
    severity="warning",
    title="A schema or a managed volume in production is not protected",
    reason=(
        "`bundle destroy`, a renamed key and a changed name delete the schema or volume with all tables, files and"
        " checkpoints in it. With `prevent_destroy` the command fails before it deletes."
    ),
    source=(
        "https://docs.databricks.com/aws/en/dev-tools/bundles/resources (lifecycle.prevent_destroy); databricks/cli,"
        " bundle/direct/dresources/schema.go (deletes with force)"
    ),
    fix="Add `lifecycle: {prevent_destroy: true}`.",
)
def storage_without_prevent_destroy(target: TargetView) -> Iterator[Outcome]:
    """Yield each such schema and volume."""
    if not is_shared_target(target):
        return
    for kind, name in (("schemas", "schema"), ("volumes", "volume")):
        for resource in target.resources(kind):
            if resource.text("volume_type").upper() == "EXTERNAL" or resource.is_true("lifecycle", "prevent_destroy"):
                continue
            value = resource.get("lifecycle", "prevent_destroy")
            if value is not None and value.data is not False:
                yield cannot_tell(resource, "the value of prevent_destroy")
            else:
                place = resource.at("lifecycle", "prevent_destroy")
                yield Finding(place, f"{name} {resource.key} has no prevent_destroy")
