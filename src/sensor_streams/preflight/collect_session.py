"""All facts of some streams as this session and machine have them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from sensor_streams.error_causes import first_line
from sensor_streams.errors import SensorStreamsError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Stream
from sensor_streams.inference.champions import Record, tried
from sensor_streams.preflight import session_facts as local
from sensor_streams.preflight.expected import expected_of
from sensor_streams.preflight.facts import Facts, ModelFacts, Unknown
from sensor_streams.preflight.model_facts import gather_models
from sensor_streams.preflight.platform_facts import gather_platform
from sensor_streams.settings import Settings
from sensor_streams.stores import registry_of
from sensor_streams.tables import Catalog


def session_facts(
    catalog: Catalog,
    settings: Settings,
    streams: Sequence[Stream],
    fleet: Fleet,
    registry_seconds: float,
    try_models: bool = False,
) -> Facts:
    """What is true for streams that run in this session; nothing is changed.

    registry_seconds: how long the model registry has to answer. try_models: let a champion that has not scored yet
    score a few rows.
    """
    meant = expected_of(settings, streams, fleet)
    facts = local.gather(catalog, meant, settings.lease_timeout)
    models = gather_models(registry_of(settings), sorted(meant.models), registry_seconds) if meant.models else {}
    for stream in streams:
        if stream.model is not None and isinstance(model := models.get(stream.model), ModelFacts):
            models[stream.model] = _as_used(catalog, settings, stream, fleet, model, try_models)
    return replace(facts, models=models, platform=gather_platform(settings.checkpoints))


def _as_used(
    catalog: Catalog, settings: Settings, stream: Stream, fleet: Fleet, model: ModelFacts, try_it: bool
) -> ModelFacts | Unknown:
    """The facts of a champion with what its stream has found out about it, or a trial does."""
    record = Record.read(Path(settings.checkpoints) / stream.name)
    if model.version is None or model.gone is not None or model.version == next(iter(record.good), None):
        return model
    instead = next((one for one in record.good if one != model.version), None)
    reason = record.reason if model.version == record.refused else None
    if try_it and not model.problems:
        # What was refused may work by now: packages come and go.
        try:
            reason = tried(catalog, registry_of(settings), stream, model.version, fleet)
        except (SensorStreamsError, PySparkException, Py4JError) as error:
            return Unknown(f"version {model.version} could not be tried: {first_line(str(error))}")
    return replace(model, refused=reason, in_place=instead)
