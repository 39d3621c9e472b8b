"""Rule on jobs that run the same streams at the same time."""

from collections.abc import Iterator

from dabs_lab.check.declaration import STREAMS, Finding, Outcome, cannot_tell, rule
from dabs_lab.check.views import JobView, TargetView


@rule(
    id="D108",
    name="two-live-jobs-on-one-stream",
    severity="error",
    title="More than one live job runs the same stream",
    reason="Two runs of one stream share its checkpoint and write its table twice, or stop each other.",
    source="https://docs.databricks.com/aws/en/structured-streaming/production (one checkpoint for each query)",
    fix="Pause all but one of the jobs in this target, for example by a variable.",
)
def two_live_jobs_on_one_stream(target: TargetView) -> Iterator[Outcome]:
    """Yield each job that starts by itself and runs a stream of an earlier such job."""
    live = [job for job in target.jobs if job.is_live]
    if len(live) < 2:
        return
    runs: dict[str, JobView] = {}
    for job in live:
        shared: dict[str, list[str]] = {}
        for task in job.tasks:
            if task.streaming.streams is None:
                yield cannot_tell(task, STREAMS)
                continue
            for stream in task.streaming.streams:
                other = runs.setdefault(stream, job)
                if other is not job:
                    shared.setdefault(other.key, []).append(stream)
        for key, streams in shared.items():
            names = ", ".join(streams)
            message = f"jobs {key} and {job.key} are both live and run the same streams: {names}"
            yield Finding(job.at(job.triggers[0]), message)
