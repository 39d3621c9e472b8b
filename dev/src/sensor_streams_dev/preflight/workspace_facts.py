"""Facts that only a workspace has."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sensor_streams.preflight.facts import Entry, Facts, Unknown
from sensor_streams.preflight.findings import Unchecked
from sensor_streams.preflight.unchecked import unchecked_facts, unchecked_of, unchecked_one


@dataclass(frozen=True)
class ExternalLocation:
    """An external location of a workspace."""

    name: str
    url: str
    credential: str
    read_only: bool = False


@dataclass(frozen=True)
class WorkspaceFacts:
    """Answers of a workspace.

    external_locations: those that the caller may see
    rights: (kind, full name) → effective privileges of the principal and its groups, `OWNER` for the owner. Kinds are
        those of the permissions API: catalog, schema, table, volume, external_location, function (registered model)
    volumes: full name → storage location; models: full name → champion version, empty without one; None: not found
    write_tests: external location → (operation, result, message) of the credential's own test
    principal: identity that the job runs as
    missing: objects of the job that the workspace does not have
    credentials: name → read-only, for those that the caller may see
    """

    external_locations: Sequence[ExternalLocation] | Unknown
    rights: Mapping[tuple[str, str], frozenset[str] | Unknown]
    volumes: Mapping[str, str | Unknown | None]
    models: Mapping[str, str | Unknown | None]
    principal: str | Unknown
    write_tests: Mapping[str, Sequence[tuple[str, str, str]] | Unknown] = field(default_factory=dict)
    missing: Sequence[tuple[str, str]] = ()
    credentials: Mapping[str, bool] | Unknown = field(default_factory=dict)


@dataclass(frozen=True)
class FactsInWorkspace(Facts):
    """Input of all checks, with the answers of a workspace."""

    workspace: WorkspaceFacts | None = None

    @property
    def rights(self) -> Mapping[tuple[str, str], frozenset[str] | Unknown]:
        """Privileges by object."""
        return {} if self.workspace is None else self.workspace.rights


def workspace_of(facts: Facts) -> WorkspaceFacts | None:
    """Return the answers of a workspace, if one was queried."""
    return facts.workspace if isinstance(facts, FactsInWorkspace) else None


def unchecked_in_workspace(facts: Facts) -> Iterator[Unchecked]:
    """Yield every unknown fact, also those of the workspace."""
    yield from unchecked_facts(facts)
    workspace = workspace_of(facts)
    if workspace is not None:
        yield from unchecked_workspace(workspace, facts.entries)


def unchecked_workspace(facts: WorkspaceFacts, entries: Mapping[str, Entry | Unknown | None]) -> Iterator[Unchecked]:
    """Yield unknown privileges, volumes, models, external locations and credentials."""
    yield from unchecked_one("rights", "principal", facts.principal)
    if not isinstance(facts.principal, Unknown):
        rights = {f"{kind.replace('_', ' ')} {name}": held for (kind, name), held in facts.rights.items()}
        yield from unchecked_of("rights", "", rights)
    yield from unchecked_of("location", "volume ", facts.volumes)
    yield from unchecked_of("model", "model ", facts.models)
    yield from unchecked_one("location", "external locations", facts.external_locations)
    external = any(isinstance(entry, Entry) and entry.kind == "external" for entry in entries.values())
    if external and not facts.external_locations:
        yield Unchecked("location", "external locations", "the caller may see none, but there are external tables")
    yield from unchecked_one("location.read-only", "storage credentials", facts.credentials)
    yield from unchecked_of("location.no-write", "external location ", facts.write_tests)
