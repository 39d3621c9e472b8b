"""All facts of some streams as this session and machine have them."""

from collections.abc import Sequence
from dataclasses import replace

from sensor_streams.fleet import Fleet
from sensor_streams.preflight import local
from sensor_streams.preflight.facts import Facts
from sensor_streams.preflight.meant import meant_of
from sensor_streams.preflight.models import gather_models
from sensor_streams.preflight.platform import gather_platform
from sensor_streams.runtime.stores import registry_of
from sensor_streams.settings import Settings
from sensor_streams.streams import Stream
from sensor_streams.tables import Catalog


def facts_here(
    catalog: Catalog, settings: Settings, streams: Sequence[Stream], fleet: Fleet, registry_seconds: float
) -> Facts:
    """What is true for streams that run in this session; nothing is changed.

    registry_seconds: how long the model registry has to answer.
    """
    meant = meant_of(settings, streams, fleet)
    facts = local.gather(catalog, meant, settings.lease_timeout)
    models = gather_models(registry_of(settings), sorted(meant.models), registry_seconds) if meant.models else {}
    return replace(facts, models=models, platform=gather_platform(settings.checkpoints))
