"""All families of checks, in the order in which they are told: what makes the others hard to read comes first."""

from sensor_streams.preflight.checks import checkpoints, location, model, overlap, platform, schema, sinks, source
from sensor_streams.preflight.facts import Facts
from sensor_streams.preflight.run_checks import Family
from sensor_streams_dev.preflight.checks import reach, rights


def _sinks(facts: Facts) -> int:
    return sum(len(stream.sinks) for stream in facts.meant.streams)


FAMILIES: tuple[Family, ...] = (
    Family("location", (location.check, overlap.check, reach.check), lambda facts: len(facts.entries)),
    Family("source", (source.check,), lambda facts: sum(len(stream.sources) for stream in facts.meant.streams)),
    Family("checkpoint", (checkpoints.check,), lambda facts: len(facts.checkpoints)),
    Family("sink", (sinks.check,), _sinks),
    Family("schema", (schema.check,), _sinks),
    Family("rights", (rights.check,), lambda facts: 0 if facts.workspace is None else len(facts.workspace.rights)),
    Family("model", (model.check,), lambda facts: len(facts.models)),
    Family("platform", (platform.check,), lambda facts: 0 if facts.platform is None else 1),
)
