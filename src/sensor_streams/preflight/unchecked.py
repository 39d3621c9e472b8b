"""What catalog, tables, workspace, registry or machine did not tell: each question without an answer, once."""

from collections.abc import Iterator, Mapping

from sensor_streams.preflight.facts import Entry, Facts, ModelFacts, PlatformFacts, TableFacts, Unknown, WorkspaceFacts
from sensor_streams.preflight.findings import Unchecked


def of_facts(facts: Facts) -> Iterator[Unchecked]:
    """Every question about these facts that was asked and got no answer."""
    yield from of_tables(facts)
    if facts.workspace is not None:
        yield from of_workspace(facts.workspace, facts.entries)
    yield from of_models(facts.models)
    if facts.platform is not None:
        yield from of_platform(facts.platform)


def of_tables(facts: Facts) -> Iterator[Unchecked]:
    """What is not known of entries, tables and checkpoints."""
    for name, entry in facts.entries.items():
        if isinstance(entry, Unknown):
            yield Unchecked("location", name, entry.because)
    if isinstance(facts.others, Unknown):
        yield Unchecked("location", "other tables", facts.others.because)
    for place, table in facts.tables.items():
        if isinstance(table, Unknown):
            yield Unchecked("location", place, table.because)
        elif isinstance(table, TableFacts) and isinstance(table.earliest, Unknown):
            yield Unchecked("source.history-gone", place, table.earliest.because)
    for stream, checkpoint in facts.checkpoints.items():
        if isinstance(checkpoint, Unknown):
            yield Unchecked("checkpoint", stream, checkpoint.because)
    if isinstance(facts.writable, Unknown) and facts.tables:
        yield Unchecked("sink.protocol", facts.meant.full("*"), facts.writable.because)


def of_workspace(facts: WorkspaceFacts, entries: Mapping[str, Entry | Unknown | None]) -> Iterator[Unchecked]:
    """What is not known of rights, volumes, models, external locations and credentials."""
    if isinstance(facts.principal, Unknown):
        yield Unchecked("rights", "principal", facts.principal.because)
    for (kind, name), held in facts.rights.items():
        if isinstance(held, Unknown) and not isinstance(facts.principal, Unknown):
            yield Unchecked("rights", f"{kind.replace('_', ' ')} {name}", held.because)
    for kind, told in (("volume", facts.volumes), ("model", facts.models)):
        for name, one in told.items():
            if isinstance(one, Unknown):
                yield Unchecked("location" if kind == "volume" else "model", f"{kind} {name}", one.because)
    external = any(isinstance(entry, Entry) and entry.kind == "external" for entry in entries.values())
    if isinstance(facts.external_locations, Unknown):
        yield Unchecked("location", "external locations", facts.external_locations.because)
    elif external and not facts.external_locations:
        yield Unchecked("location", "external locations", "the asker may see none, and there are external tables")
    if isinstance(facts.credentials, Unknown):
        yield Unchecked("location.read-only", "storage credentials", facts.credentials.because)
    for name, results in facts.write_tests.items():
        if isinstance(results, Unknown):
            yield Unchecked("location.no-write", f"external location {name}", results.because)


def of_models(models: Mapping[str, ModelFacts | Unknown]) -> Iterator[Unchecked]:
    """Models of which the registry did not tell."""
    for kind, model in models.items():
        if isinstance(model, Unknown):
            yield Unchecked("model", f"model {kind}", model.because)


def of_platform(facts: PlatformFacts) -> Iterator[Unchecked]:
    """What the machine did not tell."""
    told = {"disk": facts.free_disk, "memory": facts.free_memory, "clock": facts.skew}
    for name, value in told.items():
        if isinstance(value, Unknown):
            yield Unchecked(f"platform.{name}", name, value.because)
