"""Rules on code that cannot run, or runs wrongly, in the access mode of its cluster."""

from collections.abc import Iterator

from dabs_lab.check.declaration import Finding, Outcome, cannot_tell, rule
from dabs_lab.check.rules.clusters import clusters_of
from dabs_lab.check.runtimes import runtime_of
from dabs_lab.check.stream_facts import runs_streams
from dabs_lab.check.views import TargetView, View

_LIMITS = "https://docs.databricks.com/aws/en/compute/standard-limitations"
_STANDARD = ("USER_ISOLATION", "DATA_SECURITY_MODE_STANDARD")
_PYTHON_TASKS = ("notebook_task", "python_wheel_task", "spark_python_task")
# Runtime 19 has Spark 4.2. The first runtime with Spark 4.3 has a higher number.
_LAST_WITH_ONE_SESSION = 19


def _is_standard(cluster: View) -> bool:
    return cluster.text("data_security_mode") in _STANDARD


@rule(
    id="D707",
    name="not-on-standard-access-mode",
    severity="error",
    title="A cluster with standard access mode has an ML or GPU runtime, or a task that this mode does not run",
    reason="Standard access mode supports neither the ML runtime nor GPUs nor spark-submit tasks: the run fails.",
    source=_LIMITS,
    fix="Set `data_security_mode: SINGLE_USER` (dedicated), or use the plain runtime, libraries and a JAR task.",
)
def not_on_standard_access_mode(target: TargetView) -> Iterator[Outcome]:
    """Yield each such cluster and task."""
    for name, cluster in clusters_of(target):
        if not _is_standard(cluster):
            continue
        runtime = runtime_of(cluster.text("spark_version"))
        variants = {"ml", "gpu"} & set(runtime.variants if runtime is not None else ())
        if cluster.is_true("use_ml_runtime") or variants:
            field = "use_ml_runtime" if cluster.is_true("use_ml_runtime") else "spark_version"
            yield Finding(cluster.at(field), f"{name} has standard access mode: no ML runtime, no GPU")
    for task in target.tasks:
        if task.kind == "spark_submit_task" and task.cluster is not None and _is_standard(task.cluster):
            yield Finding(task.at("spark_submit_task"), f"task {task.key} cannot run on standard access mode")


@rule(
    id="D708",
    name="scheduler-pools-on-standard-access-mode",
    severity="warning",
    title="A cluster with standard access mode sets up scheduler pools",
    reason=(
        "A pool is chosen with `spark.sparkContext.setLocalProperty`, and standard access mode has no SparkContext. So"
        " all streams stay in one pool."
    ),
    source=(
        "https://docs.databricks.com/aws/en/structured-streaming/scheduler-pools;"
        " error condition UNSUPPORTED_CONNECT_FEATURE.SESSION_SPARK_CONTEXT"
    ),
    fix="Set `data_security_mode: SINGLE_USER` (dedicated), or remove the setting.",
    certain=False,
)
def scheduler_pools_on_standard_access_mode(target: TargetView) -> Iterator[Outcome]:
    """Yield each setting of a scheduler pool, or of its file, in a cluster with standard access mode."""
    for name, cluster in clusters_of(target):
        for field in ("spark.scheduler.pool", "spark.scheduler.allocation.file"):
            if _is_standard(cluster) and cluster.has("spark_conf", field):
                yield Finding(
                    cluster.at("spark_conf", field), f"{name} has standard access mode: {field} has no effect"
                )


@rule(
    id="D709",
    name="streams-share-a-connect-session",
    severity="warning",
    title="Several streams of one task run on standard access mode",
    reason=(
        "Standard access mode runs Python over Spark Connect. Before Spark 4.3, a foreachBatch function there gets the"
        " session of the whole task. Settings of one stream, such as txnAppId and txnVersion, then apply to the others:"
        " Delta skips their writes without an error. That no stream uses foreachBatch is not visible in a bundle."
    ),
    source="apache/spark, docs/streaming/ss-migration-guide.md (Spark 4.3)",
    fix="Set `data_security_mode: SINGLE_USER` (dedicated), or one task for each stream that uses foreachBatch.",
    certain=False,
)
def streams_share_a_connect_session(target: TargetView) -> Iterator[Outcome]:
    """Yield each Python task with more than one stream on a cluster with standard access mode."""
    for task in target.tasks:
        cluster, streams = task.cluster, task.streaming.streams or ()
        if cluster is None or not _is_standard(cluster) or task.kind not in _PYTHON_TASKS:
            continue
        if len(streams) < 2 or not runs_streams(task):
            continue
        runtime = runtime_of(cluster.text("spark_version"))
        if runtime is None:
            yield cannot_tell(task, "its runtime")
        elif runtime.number < (_LAST_WITH_ONE_SESSION + 1, 0):
            message = f"{len(streams)} streams of task {task.key} share one session on standard access mode"
            yield Finding(cluster.at("data_security_mode"), message)
