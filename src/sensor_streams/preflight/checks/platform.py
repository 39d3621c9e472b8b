"""Check versions, free disk and memory, and the clock of this machine or of the cluster's driver."""

from collections.abc import Iterator

from sensor_streams.preflight.checks.registry import check, finding
from sensor_streams.preflight.facts import Facts
from sensor_streams.preflight.findings import Finding

GIB = 2**30
MIN_FREE = GIB
# Seconds. Object stores reject requests if the clock is 15 minutes wrong. Signed tokens are valid for minutes.
MAX_SKEW = 60.0


@check("platform.version", "error", "the version of Spark, Delta or the runtime is not supported")
@check("platform.disk", "error", "the disk is nearly full")
@check("platform.memory", "warning", "little memory is free")
@check("platform.clock", "warning", "this machine's clock is wrong")
def machine(facts: Facts) -> Iterator[Finding]:
    """Compare versions, free space and clock with their limits."""
    platform = facts.platform
    if platform is None:
        return
    for package, wanted in platform.locked.items():
        version = platform.versions.get(package)
        if version is not None and not fits(version, wanted):
            expected = f"{wanted}.x, with which the project is tested"
            remedy = "run `make setup` to install requirements.lock; on a cluster, use the runtime in databricks.yml"
            yield finding("platform.version", package, version, expected, remedy)
    for name, subject, free, remedy in (
        ("disk", "disk of the checkpoints", platform.free_disk, "free some space: batches fail on a full disk"),
        ("memory", "memory", platform.free_memory, "stop other processes, or use a larger machine"),
    ):
        if isinstance(free, int) and free < MIN_FREE:
            found, expected = (f"{size / GIB:.1f} GiB" for size in (free, MIN_FREE))
            yield finding(f"platform.{name}", subject, f"{found} free", f"at least {expected}", remedy)
    if isinstance(platform.skew, float) and abs(platform.skew) > MAX_SKEW:
        found = f"{abs(platform.skew):.0f} s {'ahead of' if platform.skew > 0 else 'behind'} the workspace's"
        expected = f"at most {MAX_SKEW:.0f} s"
        remedy = "turn on time synchronisation: object stores reject requests if the clock is 15 minutes wrong"
        yield finding(
            "platform.clock",
            "clock of this machine",
            found,
            expected,
            remedy,
            severity="error" if abs(platform.skew) > 15 * MAX_SKEW else "warning",
        )


def fits(version: str, wanted: str) -> bool:
    """Return True if a version begins with the wanted parts: 4.1.4 fits 4.1, 4.10.0 does not."""
    parts = wanted.split(".")
    return version.split(".")[: len(parts)] == parts
