"""Policy on the access mode of clusters."""

from collections.abc import Iterator, Mapping
from typing import Any

from sensor_streams_dev.policies.policy_file import PolicyFile


def cluster_rules(key: str, cluster: Mapping[str, Any], file: PolicyFile) -> Iterator[str]:
    """Yield what is wrong with a cluster, and what to do."""
    modes = [mode.value for mode in file.policies.clusters.access_modes]
    if cluster.get("data_security_mode") not in modes:
        yield (
            f"cluster {key} has data_security_mode {cluster.get('data_security_mode')}: write {modes[0]}, or "
            f"{file.change('clusters', 'access_modes')}. Outside dedicated mode, Spark before 4.3 runs all batches in "
            "one session: streams share transaction ids, and writes are skipped"
        )
