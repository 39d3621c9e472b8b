"""Rules on the compute of streams."""

from collections.abc import Callable, Iterator

from dabs_lab.check.declaration import STREAMS, TRIGGER, Finding, Outcome, cannot_tell, rule
from dabs_lab.check.places import Place
from dabs_lab.check.stream_facts import if_stream, is_shared_target, runs_endless_streams, runs_streams
from dabs_lab.check.views import ClusterView, TargetView

_PRODUCTION = "https://docs.databricks.com/aws/en/structured-streaming/production"
_CLOUDS = ("aws_attributes", "azure_attributes", "gcp_attributes")
_SPOT = ("SPOT", "PREEMPTIBLE")


def _under_streams(
    target: TargetView, place_of: Callable[[ClusterView], Place | None], problem: str, *, only_endless: bool
) -> Iterator[Outcome]:
    """Yield each cluster with streams on it that has a problem: "scales automatically", at its place."""
    found: dict[tuple[object, ...], tuple[ClusterView, Place, list[str]]] = {}
    for task in target.tasks:
        cluster = task.cluster
        place = place_of(cluster) if cluster is not None else None
        if cluster is None or place is None:
            continue
        streams = runs_endless_streams(task) if only_endless else runs_streams(task)
        if streams is None:
            yield cannot_tell(task, TRIGGER if runs_streams(task) else STREAMS)
        elif streams:
            found.setdefault((*cluster.path,), (cluster, place, []))[2].append(task.name())
    for cluster, place, tasks in found.values():
        name = f"cluster {cluster.key}" if cluster.key else "the cluster"
        yield Finding(place, f"{name} of the streams of {', '.join(tasks)} {problem}")


@rule(
    id="D701",
    name="autoscaling-under-streams",
    severity="warning",
    title="The cluster of a stream scales automatically",
    reason=(
        "Scaling down removes workers while the stream waits for its next trigger, and state and cached data with them."
        " Databricks recommends a fixed size for all jobs of Structured Streaming, those with bounded triggers too."
    ),
    source=f"{_PRODUCTION} (do not use autoscaling)",
    fix="Replace `autoscale` by `num_workers`, sized for the peak.",
)
def autoscaling_under_streams(target: TargetView) -> Iterator[Outcome]:
    """Yield each cluster with `autoscale` under a stream."""

    def autoscale(cluster: ClusterView) -> Place | None:
        return cluster.at("autoscale") if cluster.has("autoscale") else None

    yield from _under_streams(target, autoscale, "scales automatically", only_endless=False)


@rule(
    id="D702",
    name="spot-driver-under-streams",
    severity="warning",
    title="The driver of an endless stream may be a spot instance",
    reason=(
        "The cloud may take a spot instance back at any time. The loss of the driver ends every stream on the cluster;"
        " the loss of a worker only repeats tasks. The API does not document a default of `first_on_demand`."
    ),
    source="databricks-sdk, compute.AwsAttributes.first_on_demand (also AzureAttributes, GcpAttributes)",
    fix="Set `first_on_demand: 1`: the driver is on demand, workers may stay on spot.",
    certain=False,
)
def spot_driver_under_streams(target: TargetView) -> Iterator[Outcome]:
    """Yield each cluster with spot instances and without `first_on_demand` under an endless stream."""
    yield from _under_streams(target, _spot_driver, "may have a spot driver", only_endless=True)


def _spot_driver(cluster: ClusterView) -> Place | None:
    # A pool decides on its own nodes.
    if cluster.has("instance_pool_id") or cluster.has("driver_instance_pool_id"):
        return None
    for cloud in _CLOUDS:
        if cluster.text(cloud, "availability").upper().startswith(_SPOT):
            first = cluster.get(cloud, "first_on_demand")
            if first is None or cluster.number(cloud, "first_on_demand") == 0:
                return cluster.at(cloud, "availability" if first is None else "first_on_demand")
    return None


@rule(
    id="D703",
    name="stream-on-all-purpose-cluster",
    severity="warning",
    title="A stream runs on an all-purpose cluster",
    reason=(
        "Other users share the driver: a restart of the cluster, or work that uses all its memory, ends the stream."
        " A failed run does not get a new cluster, and all-purpose compute costs more than jobs compute. Development"
        " mode and jobs without a trigger outside production are not checked."
    ),
    source=f"{_PRODUCTION} (do not use all-purpose compute)",
    fix="Use `job_clusters` and `job_cluster_key`.",
)
def stream_on_all_purpose_cluster(target: TargetView) -> Iterator[Outcome]:
    """Yield each task with streams and `existing_cluster_id` in a job with a trigger, and any in production."""
    for task in target.tasks:
        is_live = bool(task.job.triggers) and target.mode != "development"
        if task.has("existing_cluster_id") and task.can_stream and (is_live or is_shared_target(target)):
            message = f"streams of task {task.name()} run on an all-purpose cluster"
            yield from if_stream(task, task.at("existing_cluster_id"), message)
