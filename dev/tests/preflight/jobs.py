"""What a job is meant to be bound to, in a workspace, from the streams as they are declared."""

from collections.abc import Sequence

from sensor_streams.fleet import load_fleet
from sensor_streams.incremental.stream import Stream
from sensor_streams.preflight.facts import Expected, ExpectedStream
from sensor_streams.streams import STREAMS
from tests.rows import FIXTURES

FLEET = load_fleet(FIXTURES / "fleet.yml")
VOLUMES = "/Volumes/plant/live"


def expected_of(streams: Sequence[Stream] = STREAMS, root: str | None = "s3://bucket/tables") -> Expected:
    """The job of these streams in the schema plant.live, with folders in volumes and models in the same schema."""
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
