"""Policies on the clusters of jobs: access mode, autoscaling, and a driver that stays."""

from collections.abc import Iterator, Mapping
from typing import Any

from sensor_streams_dev.policies.policy_file import PolicyFile

# Value of `availability` for instances that are not spot, by cloud.
_ON_DEMAND = {
    "aws_attributes": "ON_DEMAND",
    "azure_attributes": "ON_DEMAND_AZURE",
    "gcp_attributes": "ON_DEMAND_GCP",
}


def cluster_rules(key: str, cluster: Mapping[str, Any], file: PolicyFile) -> Iterator[str]:
    """Yield what is wrong with a cluster, and what to do."""
    policy = file.policies.clusters
    if "autoscale" in cluster and not policy.autoscale:
        yield (
            f"cluster {key} has autoscale: write num_workers, or {file.change('clusters', 'autoscale')}; scaling down "
            "removes workers from running streams"
        )
    modes = [mode.value for mode in policy.access_modes]
    if cluster.get("data_security_mode") not in modes:
        yield (
            f"cluster {key} has data_security_mode {cluster.get('data_security_mode')}: write {modes[0]}, or "
            f"{file.change('clusters', 'access_modes')}. Outside dedicated mode, Spark before 4.3 runs all batches in "
            "one session: streams share transaction ids, and writes are skipped"
        )
    for cloud, on_demand in _ON_DEMAND.items():
        attributes = cluster.get(cloud)
        if not attributes or policy.spot_driver:
            continue
        # On AWS, the default availability is spot.
        if attributes.get("availability") != on_demand and not attributes.get("first_on_demand"):
            yield (
                f"cluster {key} may have a spot driver: write availability: {on_demand}, or first_on_demand: 1, or "
                f"{file.change('clusters', 'spot_driver')}"
            )
