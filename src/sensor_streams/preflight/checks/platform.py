"""Platform: versions against those that the project is built for, free disk and memory, the clock."""

from collections.abc import Iterator

from sensor_streams.preflight.checks.registry import finding
from sensor_streams.preflight.facts import Facts
from sensor_streams.preflight.findings import Finding

GIB = 2**30
LEAST_DISK = GIB
LEAST_MEMORY = GIB
# Object stores refuse requests of a clock that is 15 minutes off, and signed tokens are minutes long at best; a minute
# is far from what a synchronised clock shows.
MOST_SKEW = 60.0


def check(facts: Facts) -> Iterator[Finding]:
    """What of this machine, or of the cluster's driver when that asks, does not fit."""
    platform = facts.platform
    if platform is None:
        return
    for package, wanted in platform.locked.items():
        version = platform.versions.get(package)
        if version is not None and not fits(version, wanted):
            yield finding(
                "platform.version",
                package,
                version,
                f"{wanted}.x, which the project is built for and tested with",
                "take the versions of requirements.lock (`make setup`); on a cluster, the runtime that databricks.yml "
                "names: other pairs of Spark and Delta were seen to fail after some dozens of commits",
            )
    if isinstance(platform.free_disk, int) and platform.free_disk < LEAST_DISK:
        yield finding(
            "platform.disk",
            "disk of the checkpoints",
            f"{platform.free_disk / GIB:.1f} GiB free",
            f"at least {LEAST_DISK / GIB:.0f} GiB",
            "make room: a batch that finds the disk full fails, and so does each one after it",
        )
    if isinstance(platform.free_memory, int) and platform.free_memory < LEAST_MEMORY:
        yield finding(
            "platform.memory",
            "memory",
            f"{platform.free_memory / GIB:.1f} GiB free",
            f"at least {LEAST_MEMORY / GIB:.0f} GiB",
            "end what else runs here, or take a larger machine",
        )
    if isinstance(platform.skew, float) and abs(platform.skew) > MOST_SKEW:
        way = "ahead of" if platform.skew > 0 else "behind"
        yield finding(
            "platform.clock",
            "clock of this machine",
            f"{abs(platform.skew):.0f} s {way} the workspace's",
            f"at most {MOST_SKEW:.0f} s",
            "let the machine synchronise its clock: object stores refuse requests of one that is 15 minutes off",
            severity="error" if abs(platform.skew) > 15 * MOST_SKEW else "warning",
        )


def fits(version: str, wanted: str) -> bool:
    """True when the version begins with the parts that are wanted: 4.1.4 fits 4.1, and 4.10.0 does not."""
    parts = wanted.split(".")
    return version.split(".")[: len(parts)] == parts
