"""Rules on clusters of jobs and on all-purpose clusters, with or without streams."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from dabs_lab.bundle import Position
from dabs_lab.check.declaration import Finding, Outcome, cannot_tell, rule
from dabs_lab.check.places import Place
from dabs_lab.check.runtimes import end_of_support, runtime_of
from dabs_lab.check.views import ClusterView, TargetView, View

_PROFILE, _MASTER = "spark.databricks.cluster.profile", "spark.master"


def clusters_of(target: TargetView) -> Iterator[tuple[str, View]]:
    """Yield name and view of each job cluster, task's own cluster and all-purpose cluster."""
    for job in target.jobs:
        for key, cluster in job.clusters.items():
            yield f"cluster {key} of job {job.key}", cluster
        for task in job.tasks:
            if task.has("new_cluster") and isinstance(task.cluster, ClusterView):
                yield f"the cluster of task {task.key} of job {job.key}", task.cluster
    for resource in target.resources("clusters"):
        yield f"cluster {resource.key}", resource


@rule(
    id="D704",
    name="no-workers-without-single-node",
    severity="warning",
    title="A cluster without workers is not a single-node cluster",
    reason=(
        "With `num_workers: 0` alone, Spark tasks wait for workers that never come. The CLI warns about each missing"
        " value. A cluster policy may add them, so clusters with `policy_id` are not checked."
    ),
    source="databricks/cli, bundle/config/validate/single_node_cluster.go",
    fix=(
        "Add `is_single_node: true` with `kind: CLASSIC_PREVIEW`. Or write `spark_conf` with"
        ' spark.databricks.cluster.profile: singleNode and spark.master: "local[*]", and `custom_tags` with'
        " ResourceClass: SingleNode."
    ),
)
def no_workers_without_single_node(target: TargetView) -> Iterator[Outcome]:
    """Yield each written `num_workers: 0` without one of the two forms."""
    for name, cluster in clusters_of(target):
        if cluster.number("num_workers") != 0 or not cluster.is_written("num_workers"):
            continue
        if cluster.has("policy_id") or cluster.has("autoscale") or cluster.is_true("is_single_node"):
            continue
        missing = [
            key
            for key, found in (
                (_PROFILE, cluster.text("spark_conf", _PROFILE) == "singleNode"),
                (_MASTER, cluster.text("spark_conf", _MASTER).startswith("local")),
                ("ResourceClass", cluster.text("custom_tags", "ResourceClass") == "SingleNode"),
            )
            if not found
        ]
        if missing:
            message = f"{name} has no workers, but is not a single node: {', '.join(missing)} not set"
            yield Finding(cluster.at("num_workers"), message)


@rule(
    id="D705",
    name="runtime-out-of-support",
    severity="warning",
    title="The Databricks runtime of a cluster is out of support",
    reason=(
        "Databricks no longer fixes errors and security problems in it, and may remove it at any time. Then no new"
        " cluster starts, and all runs of the job fail. check/runtimes.yml has the dates and their sources."
    ),
    source=(
        "https://docs.databricks.com/aws/en/release-notes/runtime/;"
        " https://docs.databricks.com/aws/en/release-notes/runtime/databricks-runtime-ver"
    ),
    fix="Use an LTS version such as 18.x-scala2.13, and test the streams with a copy of their checkpoints first.",
)
def runtime_out_of_support(target: TargetView) -> Iterator[Outcome]:
    """Yield each cluster with such a runtime."""
    today = datetime.now(UTC).date()
    for _, cluster in clusters_of(target):
        key = cluster.text("spark_version")
        runtime = runtime_of(key)
        since = end_of_support(runtime, today) if runtime is not None else None
        if key.startswith("<"):
            yield cannot_tell(cluster, "its runtime")
        elif since is not None:
            yield Finding(cluster.at("spark_version"), f"runtime {key} is out of support{since}")


@rule(
    id="D706",
    name="libraries-on-a-job-cluster",
    severity="error",
    title="Libraries are declared on a cluster of a job",
    reason=(
        "A job cluster has no field for libraries: the CLI warns about an unknown field, and the tasks start without"
        " the libraries."
    ),
    source='databricks-sdk, jobs.JobSettings.job_clusters ("Libraries cannot be declared in a shared job cluster")',
    fix="Move `libraries` to each task that uses the cluster.",
)
def libraries_on_a_job_cluster(target: TargetView) -> Iterator[Outcome]:
    """Yield each `libraries` in an entry of job_clusters, or in the cluster of a task."""
    for job in target.jobs:
        for entry in [*job.items("job_clusters"), *job.items("tasks")]:
            key = entry.text("job_cluster_key")
            of_task = entry.has("task_key")
            name = f"the cluster of task {entry.text('task_key')}" if of_task else f"cluster {key}"
            for view in (None if of_task else entry, entry.view("new_cluster")):
                place = _libraries(view) if view is not None else None
                if place is not None:
                    yield Finding(place, f"{name} of job {job.key} declares libraries")


def _libraries(cluster: View) -> Place | None:
    """Return the place of `libraries` in a cluster's text, because the reader drops unknown fields as the CLI does."""
    place = cluster.at()
    if cluster.has("libraries"):
        return cluster.at("libraries")
    for start in cluster.node.positions:
        file = cluster.target.texts.of(start.file)
        for line in range(start.line, file.block_end(start, cluster.node) + 1):
            before, text = file.content(line)[: start.column - 1], file.content(line)[start.column - 1 :]
            if re.match(r"libraries\s*:", text) and before.strip() in ("", "-"):
                position = Position(start.file, line, start.column)
                return Place(f"{place.path}.libraries", position, place.covered_by | {(start.file, line)})
    return None


@rule(
    id="D710",
    name="environment-client-deprecated",
    severity="warning",
    title="A serverless environment sets the deprecated `client`",
    reason="`environment_version` replaces it. Old versions have old Python and Spark Connect.",
    source="databricks-sdk, compute.Environment.client (use environment_version)",
    fix='Write `environment_version: "5"`, or the version that you tested.',
)
def environment_client_deprecated(target: TargetView) -> Iterator[Outcome]:
    """Yield the first `client` of each file, with the number of the others in it."""
    found: dict[str, dict[Position, Place]] = {}
    for job in target.jobs:
        for environment in job.items("environments"):
            if environment.is_written("spec", "client"):
                place = environment.at("spec", "client")
                found.setdefault(place.position.file, {})[place.position] = place
    for places in found.values():
        more = f"; so do {len(places) - 1} others in this file" if len(places) > 1 else ""
        yield Finding(places[min(places)], f"an environment sets client{more}")
