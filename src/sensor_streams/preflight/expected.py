"""What a task is meant to be bound to, from its settings alone: that is all that a task has on a cluster."""

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
    """What these streams are meant to read and write under these settings.

    principal: as whom the job runs, if that is known.
    """
    meant = [_stream(stream, settings, fleet) for stream in streams]
    specs = {spec.name: spec for stream in meant for spec in stream.sinks}
    for name in (source for stream in streams for source in stream.sources):
        specs.setdefault(name, BY_NAME[name].table(fleet))
    return Expected(
        catalog=settings.catalog,
        schema=settings.schema_name,
        tables=settings.tables,
        landing=settings.landing,
        checkpoints=settings.checkpoints,
        streams=meant,
        principal=principal,
        own_run=settings.run or None,
        models={stream.model: f"{settings.model_prefix}{stream.model}" for stream in streams if stream.model},
        specs=specs,
        catalog_file=settings.catalog_file,
    )


def _stream(stream: Stream, settings: Settings, fleet: Fleet) -> ExpectedStream:
    return ExpectedStream(
        name=stream.name,
        sinks=stream.tables(fleet),
        sources=stream.sources,
        checkpoint=str(Path(settings.checkpoints) / stream.name),
        model=stream.model,
    )
