"""List the queries without an answer, so that none of them counts as a pass."""

from collections.abc import Iterator, Mapping

from sensor_streams.preflight.facts import Facts, ModelFacts, PlatformFacts, TableFacts, Unknown
from sensor_streams.preflight.findings import Unchecked


def unchecked_facts(facts: Facts) -> Iterator[Unchecked]:
    """Yield every unknown fact."""
    yield from unchecked_of("location", "", facts.entries)
    yield from unchecked_one("location", "other tables", facts.others)
    for path, table in facts.tables.items():
        yield from unchecked_one("location", path, table)
        if isinstance(table, TableFacts):
            yield from unchecked_one("source.history-gone", path, table.earliest)
    yield from unchecked_of("checkpoint", "", facts.checkpoints)
    if facts.tables:
        yield from unchecked_one("sink.protocol", facts.expected.full("*"), facts.writable)
    yield from unchecked_models(facts.models)
    if facts.platform is not None:
        yield from unchecked_platform(facts.platform)


def unchecked_models(models: Mapping[str, ModelFacts | Unknown]) -> Iterator[Unchecked]:
    """Yield models for which the registry gave no answer."""
    yield from unchecked_of("model", "model ", models)


def unchecked_platform(facts: PlatformFacts) -> Iterator[Unchecked]:
    """Yield unknown facts of the machine."""
    for name, value in (("disk", facts.free_disk), ("memory", facts.free_memory), ("clock", facts.skew)):
        yield from unchecked_one(f"platform.{name}", name, value)


def unchecked_of(check: str, prefix: str, values: Mapping[str, object]) -> Iterator[Unchecked]:
    """Yield the unknown values; subject: prefix and name."""
    for name, value in values.items():
        yield from unchecked_one(check, f"{prefix}{name}", value)


def unchecked_one(check: str, subject: str, value: object) -> Iterator[Unchecked]:
    """Yield the value if it is unknown."""
    if isinstance(value, Unknown):
        yield Unchecked(check, subject, value.because)
