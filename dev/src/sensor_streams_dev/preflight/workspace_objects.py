"""What a workspace has registered: tables, volumes, external locations, rights, models. It is asked, not changed.

All by GET; the one exception, asked for by name, is the credential's own test, which writes a file and deletes it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sensor_streams.preflight.facts import Entry, Expected, ExternalLocation, Unknown, WorkspaceFacts
from sensor_streams_dev.preflight.answers import Answer, NoAnswerError, Record, text, unless_missing
from sensor_streams_dev.preflight.principal import UNITY, Principal, caller, named, privileges, with_groups
from sensor_streams_dev.preflight.records import champion_of, credentials_of, entry_of, locations_of, others_of
from sensor_streams_dev.preflight.required_privileges import (
    Securable,
    covering,
    lacking,
    models_of,
    needed,
    tables_of,
    volumes_of,
)
from sensor_streams_dev.preflight.workspace_client import Patience, WorkspaceReader, connect

_PATHS = {"catalog": "catalogs", "schema": "schemas", "table": "tables", "volume": "volumes", "function": "models"}
_LISTS = ("external_locations", "credentials", "tables")
WriteTests = Mapping[str, Sequence[tuple[str, str, str]] | Unknown]


@dataclass(frozen=True)
class Registered:
    """What a workspace says: entries by short name (None: there is none), the schema's other entries, the rest, and by
    how many seconds this machine's clock is ahead of its clock."""

    entries: Mapping[str, Entry | Unknown | None]
    others: Sequence[Entry] | Unknown
    facts: WorkspaceFacts
    skew: float | Unknown


@dataclass(frozen=True)
class WorkspaceRegistered:
    """A workspace, by the SDK's usual credentials or a profile of its configuration file.

    probe_write: let the workspace test the credential of the tables' external location by writing and deleting a file.
    """

    profile: str | None = None
    patience: Patience = field(default_factory=Patience)
    probe_write: bool = False

    def gather(self, meant: Expected) -> Registered:
        """Ask for each object that the job touches, once, side by side.

        What gets no answer is Unknown, for whatever reason. Raises ConfigurationError when the profile is not there.
        """
        workspace = connect(self.profile, self.patience)
        if isinstance(workspace, Unknown):
            return _nothing_known(meant, workspace)
        return _Gathering(workspace, meant, self.probe_write).gather()


def _nothing_known(meant: Expected, because: Unknown) -> Registered:
    entries = dict.fromkeys(tables_of(meant), because)
    facts = WorkspaceFacts(
        external_locations=because,
        rights=dict.fromkeys(needed(meant, entries, because), because),
        volumes=dict.fromkeys(volumes_of(meant), because),
        models=dict.fromkeys(models_of(meant), because),
        principal=meant.principal or because,
        credentials=because,
    )
    return Registered(entries, because, facts, because)


@dataclass(frozen=True)
class _Found:
    """An object (None: there is none) and what the principal itself may do with it; or the records of a listing."""

    record: Record | None = None
    held: frozenset[str] | Unknown | None = None
    records: Sequence[Record] = ()

    @property
    def owner(self) -> str:
        return "" if self.record is None else text(self.record, "owner", "")


@dataclass(frozen=True)
class _Gathering:
    """Three rounds of questions: who asks; the objects; then what depends on them."""

    workspace: WorkspaceReader
    meant: Expected
    probe_write: bool

    def gather(self) -> Registered:
        asked = self.workspace.answer(lambda: caller(self.workspace))
        asker, skew = (asked, asked) if isinstance(asked, Unknown) else asked
        name = self.meant.principal
        principal = asker if name is None else named(self.workspace, name, asker)

        questions = {what: self._object(what, principal) for what in self._named()}
        found = self.workspace.side_by_side(questions | {("", name): self._list(name) for name in _LISTS})

        full = {table: self.meant.full(table) for table in tables_of(self.meant)}
        entries = {table: self._told(found, "table", name, entry_of) for table, name in full.items()}
        models = {name: self._told(found, "function", name, champion_of) for name in models_of(self.meant)}
        locations = self._listed(found, "external_locations", locations_of)
        missing = [what for what in questions if what[0] != "table" and _is_missing(found[what])]
        wanted = needed(self.meant, entries, locations, missing)
        there = {full[table].lower(): isinstance(entry, Entry) for table, entry in entries.items()}
        facts = WorkspaceFacts(
            external_locations=locations,
            rights=self._rights(wanted, found, principal),
            volumes={name: self._told(found, "volume", name, _storage) for name in volumes_of(self.meant)},
            models=models,
            write_tests=self._write_tests(locations),
            principal=principal if isinstance(principal, Unknown) else principal.name,
            missing=missing,
            credentials=self._listed(found, "credentials", credentials_of),
        )
        others = self._listed(found, "tables", lambda records: others_of(records, there))
        return Registered(entries, others, facts, skew)

    def _named(self) -> list[Securable]:
        """The objects that the job names, their parents among them."""
        objects = [
            *(("table", self.meant.full(table)) for table in tables_of(self.meant)),
            *(("volume", name) for name in volumes_of(self.meant)),
            *(("function", name) for name in models_of(self.meant)),
        ]
        schemas = {name.rpartition(".")[0] for _, name in objects}
        catalogs = {name.partition(".")[0] for name in schemas}
        return [*(("catalog", name) for name in catalogs), *(("schema", name) for name in schemas), *objects]

    def _object(self, what: Securable, principal: Principal | Unknown) -> Callable[[], _Found]:
        kind, name = what
        query = {"include_aliases": "true"} if kind == "function" else {}

        def ask() -> _Found:
            record = unless_missing(lambda: self.workspace.get(f"{UNITY}/{_PATHS[kind]}", name, **query))
            if record is None:
                return _Found()
            # Names of Unity Catalog have no case, and come back in small letters.
            told = text(record, "name" if kind == "catalog" else "full_name")
            if told.lower() != name.lower():
                raise NoAnswerError(f"it was asked for {name} and answers of {told}")
            if isinstance(principal, Unknown):
                return _Found(record, principal)
            owner = text(record, "owner", "")
            # A right that is not told is one thing, an object that is not told another.
            return _Found(
                record, self.workspace.answer(lambda: privileges(self.workspace, what, principal.name, owner))
            )

        return ask

    def _list(self, name: str) -> Callable[[], _Found]:
        query: dict[str, str | int] = {"max_results": 0}
        if name == "tables":
            query |= {"catalog_name": self.meant.catalog, "schema_name": self.meant.schema}
            query |= {"omit_columns": "true", "omit_properties": "true"}
        path = f"{UNITY}/{name.replace('_', '-')}"
        # A schema that is not there has no tables.
        return lambda: _Found(records=unless_missing(lambda: self.workspace.listed(path, name, **query)) or ())

    def _rights(
        self,
        wanted: Mapping[Securable, frozenset[str]],
        found: Mapping[Securable, _Found | Unknown],
        principal: Principal | Unknown,
    ) -> dict[Securable, frozenset[str] | Unknown]:
        """What the principal may do: of itself where that is enough, else with its groups."""
        rights: dict[Securable, frozenset[str] | Unknown] = {}
        questions: dict[Securable, Callable[[], frozenset[str]]] = {}
        for what, wants in wanted.items():
            one = found.get(what, _Found())
            held = one if isinstance(one, Unknown) else one.held
            if isinstance(principal, Unknown):
                rights[what] = principal
            elif isinstance(held, Unknown) or (held is not None and not lacking(wants, held)):
                rights[what] = held
            else:
                owner = one.owner if isinstance(one, _Found) else ""
                questions[what] = self._more_rights(what, principal, owner, held, wants)
        return rights | self.workspace.side_by_side(questions)

    def _more_rights(
        self, what: Securable, principal: Principal, owner: str, held: frozenset[str] | None, wants: frozenset[str]
    ) -> Callable[[], frozenset[str]]:
        def ask() -> frozenset[str]:
            own = privileges(self.workspace, what, principal.name, owner) if held is None else held
            return with_groups(self.workspace, what, principal, owner, own, wants) if lacking(wants, own) else own

        return ask

    def _write_tests(self, locations: Sequence[ExternalLocation] | Unknown) -> WriteTests:
        """The test of the location that the tables lie in, where it was asked for."""
        if not self.probe_write or self.meant.tables is None or isinstance(locations, Unknown):
            return {}
        at = covering(locations, self.meant.tables)
        return {} if at is None else {at.name: self.workspace.answer(lambda: write_test(self.workspace, at))}

    def _told(
        self, found: Mapping[Securable, _Found | Unknown], kind: str, name: str, read: Callable[[Record], Answer]
    ) -> Answer | Unknown | None:
        """What a record says; None where there is none."""
        one = found[kind, name]
        if isinstance(one, Unknown) or one.record is None:
            return one if isinstance(one, Unknown) else None
        record = one.record
        return self.workspace.answer(lambda: read(record))

    def _listed(
        self, found: Mapping[Securable, _Found | Unknown], name: str, read: Callable[[Sequence[Record]], Answer]
    ) -> Answer | Unknown:
        """What the records of a listing say."""
        one = found["", name]
        return one if isinstance(one, Unknown) else self.workspace.answer(lambda: read(one.records))


def _is_missing(one: _Found | Unknown) -> bool:
    return isinstance(one, _Found) and one.record is None


def _storage(record: Record) -> str:
    return text(record, "storage_location", "")


def write_test(workspace: WorkspaceReader, at: ExternalLocation) -> list[tuple[str, str, str]]:
    """The workspace's own test of an external location's credential, which writes a file there and deletes it.

    (operation, PASS | FAIL | SKIP, message) each. The only thing that is no GET. Raises as `WorkspaceReader.get`.
    """
    told = workspace.client.storage_credentials.validate(
        storage_credential_name=at.credential, external_location_name=at.name
    )
    results = [
        (one.operation.value, one.result.value, one.message or "")
        for one in told.results or []
        if one.operation is not None and one.result is not None
    ]
    if not any(operation == "WRITE" for operation, _, _ in results):
        raise NoAnswerError("its test of the credential says nothing of writing")
    return results
