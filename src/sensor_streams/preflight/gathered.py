"""All facts of some streams as this session and machine have them, and what of any facts is not known."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sensor_streams.fleet import Fleet
from sensor_streams.preflight import local, unanswered
from sensor_streams.preflight.facts import Facts
from sensor_streams.preflight.findings import Unchecked
from sensor_streams.preflight.meant import meant_of
from sensor_streams.preflight.models import gather_models
from sensor_streams.preflight.platform import gather_platform
from sensor_streams.runtime.stores import registry_of
from sensor_streams.settings import Settings
from sensor_streams.streams import Stream
from sensor_streams.tables import Catalog

# What a fact says that one looks for in a session only.
_NOT_ASKED = "it was not asked for"


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


def lacking(facts: Facts) -> Iterator[Unchecked]:
    """Every question about these facts that was asked and got no answer, once."""
    yield from (one for one in local.unchecked(facts) if one.because != _NOT_ASKED)
    if facts.workspace is not None:
        yield from unanswered.of_workspace(facts.workspace, facts.entries)
    yield from unanswered.of_models(facts.models)
    if facts.platform is not None:
        yield from unanswered.of_platform(facts.platform)
