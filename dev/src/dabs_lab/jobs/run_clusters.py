"""Clusters of one run: each lives from the start of its first task to the end of its last one."""

from collections.abc import Iterable
from datetime import datetime

from dabs_lab.jobs.events import EventKind, Json, StartCluster, StopCluster
from dabs_lab.jobs.job_spec import ClusterSpec
from dabs_lab.jobs.run_records import Cluster, ClusterState, Output, State, TaskRun


class Clusters:
    """Starts, replaces and stops the clusters of a run."""

    def __init__(self, run: int, out: Output) -> None:
        self._run = run
        self._out = out
        self._all: list[Cluster] = []

    def all(self) -> tuple[Cluster, ...]:
        """Return every cluster of the run so far."""
        return tuple(self._all)

    def get(self, name: str) -> Cluster | None:
        """Return a cluster by its id, or None."""
        return next((cluster for cluster in self._all if cluster.id == name), None)

    def take(self, spec: ClusterSpec, now: datetime) -> Cluster:
        """Return the cluster for an attempt that starts now: the shared one if it is alive, or a new one."""
        before = [cluster for cluster in self._all if cluster.spec == spec]
        if spec.own and before:
            self._out.assume(now, "own_cluster")
        elif before and before[-1].alive:
            return before[-1]
        elif before:
            self._out.assume(now, "new_cluster")
        name = f"{self._run}-{'task-' if spec.own else ''}{spec.key}-{len(before) + 1}"
        cluster = Cluster(name, spec)
        self._all.append(cluster)
        self._out.act(StartCluster(name, self._run, spec))
        self._emit(cluster, now)
        return cluster

    def up(self, cluster: Cluster, now: datetime) -> None:
        """Record that the driver is ready."""
        cluster.state = ClusterState.RUNNING
        self._emit(cluster, now)

    def lost(self, cluster: Cluster, now: datetime, message: str) -> None:
        """Record that the driver is lost, and stop its remaining processes."""
        cluster.state = ClusterState.LOST
        self._out.act(StopCluster(cluster.id))
        self._emit(cluster, now, message)

    def release(self, tasks: Iterable[TaskRun], now: datetime) -> None:
        """Stop the clusters that no task needs any more."""
        needed: set[Cluster] = set()
        keys: set[str] = set()
        for task in tasks:
            if task.active:
                needed.add(task.active.cluster)
            if task.state is not State.TERMINATED and not task.spec.cluster.own:
                keys.add(task.spec.cluster.key)
        for cluster in self._all:
            if cluster.alive and cluster not in needed and (cluster.spec.own or cluster.spec.key not in keys):
                cluster.state = ClusterState.STOPPED
                self._out.act(StopCluster(cluster.id))
                self._emit(cluster, now)

    def _emit(self, cluster: Cluster, now: datetime, message: str = "") -> None:
        data: dict[str, Json] = {"cluster": cluster.id, "key": cluster.spec.key, "state": cluster.state.value}
        self._out.emit(now, EventKind.CLUSTER, data | {"message": message or None}, self._run)
