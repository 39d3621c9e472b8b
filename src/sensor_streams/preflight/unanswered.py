"""What a workspace, the registry or the machine did not tell: each question without an answer, once."""

from collections.abc import Iterator, Mapping

from sensor_streams.preflight.facts import Entry, ModelFacts, PlatformFacts, Unknown, WorkspaceFacts
from sensor_streams.preflight.findings import Unchecked


def of_entries(entries: Mapping[str, Entry | Unknown | None]) -> Iterator[Unchecked]:
    """Entries that could not be read, by table."""
    for table, entry in entries.items():
        if isinstance(entry, Unknown):
            yield Unchecked("location", f"table {table}", entry.because)


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
