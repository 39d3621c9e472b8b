"""Read tables, volumes, external locations, privileges and models of a workspace, by GET.

Only the write test of a credential (option --probe-write) writes and deletes a file.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sensor_streams.preflight.facts import Entry, Expected, Unknown
from sensor_streams_dev.preflight.answers import Answer, NoAnswerError, Record, text, unless_missing
from sensor_streams_dev.preflight.principal import UNITY, Principal, caller, principal_named, privileges, with_groups
from sensor_streams_dev.preflight.records import champion_of, credentials_of, entry_of, locations_of, others_of
from sensor_streams_dev.preflight.required_privileges import (
    Securable,
    covering,
    missing_privileges,
    models_of,
    required,
    tables_of,
    volumes_of,
)
from sensor_streams_dev.preflight.workspace_client import Timeouts, WorkspaceReader, connect
from sensor_streams_dev.preflight.workspace_facts import ExternalLocation, WorkspaceFacts

_PATHS = {"catalog": "catalogs", "schema": "schemas", "table": "tables", "volume": "volumes", "function": "models"}
_LISTS = ("external_locations", "credentials", "tables")
WriteTest = Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class RegisteredObjects:
    """Answers of a workspace. entries: by short name, None if missing; others: other tables of the schema; skew:
    seconds that this clock is ahead of the workspace's."""

    entries: Mapping[str, Entry | Unknown | None]
    others: Sequence[Entry] | Unknown
    facts: WorkspaceFacts
    skew: float | Unknown


@dataclass(frozen=True)
class WorkspaceQuery:
    """A workspace with the SDK's default credentials or a profile. probe_write: run the write test of the credential of
    the tables' external location."""

    profile: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    probe_write: bool = False

    def gather(self, expected: Expected) -> RegisteredObjects:
        """Query each object of the job once, in parallel; a failed query gives Unknown.

        Raises ConfigurationError for an unknown profile.
        """
        workspace = connect(self.profile, self.timeouts)
        if isinstance(workspace, Unknown):
            return _nothing_known(expected, workspace)
        return _Queries(workspace, expected, self.probe_write).gather()


def _nothing_known(expected: Expected, because: Unknown) -> RegisteredObjects:
    entries = dict.fromkeys(tables_of(expected), because)
    facts = WorkspaceFacts(
        external_locations=because,
        rights=dict.fromkeys(required(expected, entries, because), because),
        volumes=dict.fromkeys(volumes_of(expected), because),
        models=dict.fromkeys(models_of(expected), because),
        principal=expected.principal or because,
        credentials=because,
    )
    return RegisteredObjects(entries, because, facts, because)


@dataclass(frozen=True)
class _Found:
    """Answer to one query. record: None if the object does not exist; held: the principal's own privileges on it;
    records: the records of a list."""

    record: Record | None = None
    held: frozenset[str] | Unknown | None = None
    records: Sequence[Record] = ()


@dataclass(frozen=True)
class _Queries:
    """Three rounds of queries: the caller; the objects; more privileges, and the write test."""

    workspace: WorkspaceReader
    expected: Expected
    probe_write: bool

    def gather(self) -> RegisteredObjects:
        answer = self.workspace.answer(lambda: caller(self.workspace))
        user, skew = (answer, answer) if isinstance(answer, Unknown) else answer
        name = self.expected.principal
        principal = user if name is None else principal_named(self.workspace, name, user)

        queries = {what: self._object(what, principal) for what in self._objects()}
        found = self.workspace.in_parallel(queries | {("", name): self._list(name) for name in _LISTS})

        full = {table: self.expected.full(table) for table in tables_of(self.expected)}
        entries = {table: self._one(found["table", name], entry_of) for table, name in full.items()}
        locations = self._all(found["", "external_locations"], locations_of)
        missing = [what for what in queries if what[0] != "table" and found[what] == _Found()]
        wanted = required(self.expected, entries, locations, missing)
        facts = WorkspaceFacts(
            external_locations=locations,
            rights=self._rights(wanted, found, principal),
            volumes={name: self._one(found["volume", name], _storage) for name in volumes_of(self.expected)},
            models={name: self._one(found["function", name], champion_of) for name in models_of(self.expected)},
            write_tests=self._write_tests(locations),
            principal=principal if isinstance(principal, Unknown) else principal.name,
            missing=missing,
            credentials=self._all(found["", "credentials"], credentials_of),
        )
        own = {full[table].lower(): isinstance(entry, Entry) for table, entry in entries.items()}
        others = self._all(found["", "tables"], lambda records: others_of(records, own))
        return RegisteredObjects(entries, others, facts, skew)

    def _objects(self) -> list[Securable]:
        """Return the objects of the job and their parents."""
        objects = [
            *(("table", self.expected.full(table)) for table in tables_of(self.expected)),
            *(("volume", name) for name in volumes_of(self.expected)),
            *(("function", name) for name in models_of(self.expected)),
        ]
        schemas = {name.rpartition(".")[0] for _, name in objects}
        catalogs = {name.partition(".")[0] for name in schemas}
        return [*(("catalog", name) for name in catalogs), *(("schema", name) for name in schemas), *objects]

    def _object(self, what: Securable, principal: Principal | Unknown) -> Callable[[], _Found]:
        kind, name = what
        options = {"include_aliases": "true"} if kind == "function" else {}

        def query() -> _Found:
            record = unless_missing(lambda: self.workspace.get(f"{UNITY}/{_PATHS[kind]}", name, **options))
            if record is None:
                return _Found()
            # Unity Catalog returns names in lower case.
            found = text(record, "name" if kind == "catalog" else "full_name")
            if found.lower() != name.lower():
                raise NoAnswerError(f"it was queried for {name} and answers with {found}")
            if isinstance(principal, Unknown):
                return _Found(record, principal)
            owner = text(record, "owner", "")
            # Unknown privileges do not make the object unknown.
            held = self.workspace.answer(lambda: privileges(self.workspace, what, principal.name, owner))
            return _Found(record, held)

        return query

    def _list(self, name: str) -> Callable[[], _Found]:
        options: dict[str, str | int] = {"max_results": 0}
        if name == "tables":
            options |= {"catalog_name": self.expected.catalog, "schema_name": self.expected.schema}
            options |= {"omit_columns": "true", "omit_properties": "true"}
        path = f"{UNITY}/{name.replace('_', '-')}"
        # A missing schema has no tables.
        return lambda: _Found(records=unless_missing(lambda: self.workspace.listed(path, name, **options)) or ())

    def _rights(
        self,
        wanted: Mapping[Securable, frozenset[str]],
        found: Mapping[Securable, _Found | Unknown],
        principal: Principal | Unknown,
    ) -> dict[Securable, frozenset[str] | Unknown]:
        """Return the principal's own privileges if they are enough, else those with its groups."""
        rights: dict[Securable, frozenset[str] | Unknown] = {}
        queries: dict[Securable, Callable[[], frozenset[str]]] = {}
        for what, needs in wanted.items():
            one = found.get(what, _Found())
            held = one if isinstance(one, Unknown) else one.held
            if isinstance(principal, Unknown):
                rights[what] = principal
            elif isinstance(held, Unknown) or (held is not None and not missing_privileges(needs, held)):
                rights[what] = held
            else:
                record = None if isinstance(one, Unknown) else one.record
                queries[what] = self._more_rights(what, principal, text(record or {}, "owner", ""), held, needs)
        return rights | self.workspace.in_parallel(queries)

    def _more_rights(
        self, what: Securable, principal: Principal, owner: str, held: frozenset[str] | None, needs: frozenset[str]
    ) -> Callable[[], frozenset[str]]:
        def query() -> frozenset[str]:
            own = privileges(self.workspace, what, principal.name, owner) if held is None else held
            if not missing_privileges(needs, own):
                return own
            return with_groups(self.workspace, what, principal, owner, own, needs)

        return query

    def _write_tests(self, locations: Sequence[ExternalLocation] | Unknown) -> Mapping[str, WriteTest | Unknown]:
        """Run the test for the location of the tables, if it was requested."""
        if not self.probe_write or self.expected.tables is None or isinstance(locations, Unknown):
            return {}
        at = covering(locations, self.expected.tables)
        return {} if at is None else {at.name: self.workspace.answer(lambda: write_test(self.workspace, at))}

    def _one(self, found: _Found | Unknown, convert: Callable[[Record], Answer]) -> Answer | Unknown | None:
        """Convert the record of an object; None if it does not exist."""
        if isinstance(found, Unknown):
            return found
        record = found.record
        return None if record is None else self.workspace.answer(lambda: convert(record))

    def _all(self, found: _Found | Unknown, convert: Callable[[Sequence[Record]], Answer]) -> Answer | Unknown:
        """Convert the records of a list."""
        return found if isinstance(found, Unknown) else self.workspace.answer(lambda: convert(found.records))


def _storage(record: Record) -> str:
    return text(record, "storage_location", "")


def write_test(workspace: WorkspaceReader, at: ExternalLocation) -> WriteTest:
    """Run the workspace's test of a credential, which writes and deletes a file in the external location.

    Returns (operation, PASS | FAIL | SKIP, message). Raises as `WorkspaceReader.get`.
    """
    answer = workspace.client.storage_credentials.validate(
        storage_credential_name=at.credential, external_location_name=at.name
    )
    results = [
        (one.operation.value, one.result.value, one.message or "")
        for one in answer.results or []
        if one.operation is not None and one.result is not None
    ]
    if not any(operation == "WRITE" for operation, _, _ in results):
        raise NoAnswerError("its test of the credential has no result for writing")
    return results
