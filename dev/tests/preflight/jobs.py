"""Configuration of a job in a workspace, from the declared streams."""

from collections.abc import Sequence

from sensor_streams.fleet import load_fleet
from sensor_streams.incremental.stream import Stream
from sensor_streams.preflight.facts import Expected, ExpectedStream, Facts
from sensor_streams.preflight.findings import Finding
from sensor_streams.preflight.run_checks import run_checks
from sensor_streams.streams import STREAMS
from sensor_streams_dev.preflight.checks import CHECKS
from tests.rows import FIXTURES

FLEET = load_fleet(FIXTURES / "fleet.yml")
VOLUMES = "/Volumes/plant/live"


def expected_of(streams: Sequence[Stream] = STREAMS, root: str | None = "s3://bucket/tables") -> Expected:
    """Return the job of these streams in the schema plant.live, with folders in volumes and models in that schema."""
    return Expected(
        catalog="plant",
        schema="live",
        tables=root,
        landing=f"{VOLUMES}/landing",
        checkpoints=f"{VOLUMES}/checkpoints",
        streams=[
            ExpectedStream(
                stream.name,
                stream.tables(FLEET),
                stream.sources,
                f"{VOLUMES}/checkpoints/{stream.name}",
                stream.model,
            )
            for stream in streams
        ],
        models={kind: f"plant.live.{kind}" for kind in ("anomaly", "remaining_life")},
        specs={stream.name: stream.table(FLEET) for stream in STREAMS},
    )


def findings_in(name: str, facts: Facts) -> list[Finding]:
    """Return the findings of one family of checks."""
    checks = {id: check for id, check in CHECKS.items() if id.startswith(f"{name}.")}
    return list(run_checks(facts, [], checks=checks).findings)
