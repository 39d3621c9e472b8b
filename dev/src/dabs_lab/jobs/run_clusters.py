"""The clusters of one run: each lives from the first task on it to the end of the last, and a lost one is replaced."""

from collections.abc import Iterable
from datetime import datetime

from dabs_lab.jobs.events import EventKind, Json, StartCluster, StopCluster
from dabs_lab.jobs.job_spec import ClusterSpec
from dabs_lab.jobs.run_records import Cluster, ClusterState, Out, State, TaskRun


class Clusters:
    """Starts a cluster when a task needs it, and stops it when none does any more."""

    def __init__(self, run: int, out: Out) -> None:
        self._run = run
        self._out = out
        self._all: list[Cluster] = []

    def all(self) -> tuple[Cluster, ...]:
        """Every cluster of the run so far."""
        return tuple(self._all)

    def get(self, name: str) -> Cluster | None:
        """A cluster by its id."""
        return next((cluster for cluster in self._all if cluster.id == name), None)

    def take(self, spec: ClusterSpec, now: datetime) -> Cluster:
        """The cluster for an attempt that starts now: the one that tasks share, or a new one."""
        before = [cluster for cluster in self._all if cluster.spec == spec]
        if spec.own and before:
            self._out.assume(now, "own_cluster")
        elif before and before[-1].lives:
            return before[-1]
        elif before:
            self._out.assume(now, "new_cluster")
        name = f"{self._run}-{'task-' if spec.own else ''}{spec.key}-{len(before) + 1}"
        cluster = Cluster(name, spec)
        self._all.append(cluster)
        self._out.act(StartCluster(name, self._run, spec))
        self._tell(cluster, now)
        return cluster

    def up(self, cluster: Cluster, now: datetime) -> None:
        """Its driver answers."""
        cluster.state = ClusterState.RUNNING
        self._tell(cluster, now)

    def lost(self, cluster: Cluster, now: datetime, message: str) -> None:
        """Its driver is gone; what may be left of it is stopped."""
        cluster.state = ClusterState.LOST
        self._out.act(StopCluster(cluster.id))
        self._tell(cluster, now, message)

    def release(self, tasks: Iterable[TaskRun], now: datetime) -> None:
        """Stop what no task needs any more."""
        needed: set[Cluster] = set()
        keys: set[str] = set()
        for task in tasks:
            if task.active:
                needed.add(task.active.cluster)
            if task.state is not State.TERMINATED and not task.spec.cluster.own:
                keys.add(task.spec.cluster.key)
        for cluster in self._all:
            if cluster.lives and cluster not in needed and (cluster.spec.own or cluster.spec.key not in keys):
                cluster.state = ClusterState.STOPPED
                self._out.act(StopCluster(cluster.id))
                self._tell(cluster, now)

    def _tell(self, cluster: Cluster, now: datetime, message: str = "") -> None:
        said: dict[str, Json] = {"cluster": cluster.id, "key": cluster.spec.key, "state": cluster.state.value}
        self._out.tell(now, EventKind.CLUSTER, said | {"message": message or None}, self._run)
