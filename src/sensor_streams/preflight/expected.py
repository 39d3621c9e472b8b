"""The configuration of streams, from the settings of their task."""

from collections.abc import Sequence
from pathlib import Path

from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Stream
from sensor_streams.preflight.facts import Expected, ExpectedStream
from sensor_streams.settings import Settings
from sensor_streams.streams import BY_NAME


def expected_of(
    settings: Settings, streams: Sequence[Stream], fleet: Fleet, *, principal: str | None = None
) -> Expected:
    """Return tables, folders and models of the streams. principal: identity that the job runs as."""
    declared = [
        ExpectedStream(
            stream.name,
            stream.tables(fleet),
            stream.sources,
            str(Path(settings.checkpoints) / stream.name),
            stream.model,
        )
        for stream in streams
    ]
    specs = {source: BY_NAME[source].table(fleet) for stream in streams for source in stream.sources}
    return Expected(
        catalog=settings.catalog,
        schema=settings.schema_name,
        tables=settings.tables,
        landing=settings.landing,
        checkpoints=settings.checkpoints,
        streams=declared,
        principal=principal,
        own_run=settings.run or None,
        models={stream.model: f"{settings.model_prefix}{stream.model}" for stream in streams if stream.model},
        specs={spec.name: spec for stream in declared for spec in stream.sinks} | specs,
        catalog_file=settings.catalog_file,
    )
