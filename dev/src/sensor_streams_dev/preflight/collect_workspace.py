"""Collect the facts of streams in a workspace, from a developer machine or from CI."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Stream
from sensor_streams.locations import canonical
from sensor_streams.preflight.expected import expected_of
from sensor_streams.preflight.facts import Entry, Expected, Nothing, PlatformFacts, TableFacts, Unknown
from sensor_streams.preflight.model_facts import gather_models
from sensor_streams.settings import Settings
from sensor_streams.stores import registry_of
from sensor_streams_dev.preflight.principal import caller
from sensor_streams_dev.preflight.warehouse import warehouse
from sensor_streams_dev.preflight.workspace_client import Timeouts, connect
from sensor_streams_dev.preflight.workspace_facts import FactsInWorkspace
from sensor_streams_dev.preflight.workspace_objects import WorkspaceQuery


@dataclass(frozen=True)
class WorkspaceCollector:
    """Workspace to query: profile, id of the SQL warehouse that reads the tables, write test of the credential."""

    profile: str | None = None
    warehouse: str | None = None
    probe_write: bool = False

    def caller_name(self) -> str | Unknown:
        """Return the user's name in the workspace, which is part of the names in development mode."""
        workspace = connect(self.profile, Timeouts())
        if isinstance(workspace, Unknown):
            return workspace
        answer = workspace.answer(lambda: caller(workspace))
        return answer if isinstance(answer, Unknown) else answer[0].name

    def facts(
        self, settings: Settings, streams: Sequence[Stream], fleet: Fleet, principal: str, registry_seconds: float
    ) -> FactsInWorkspace:
        """Return the facts of streams that run as that principal, without checkpoints, which are in a volume.

        registry_seconds: timeout of the model registry.
        """
        expected = expected_of(settings, streams, fleet, principal=principal)
        registered = WorkspaceQuery(self.profile, probe_write=self.probe_write).gather(expected)
        registry = registry_of(self._with_profile(settings))
        return FactsInWorkspace(
            expected=expected,
            entries=registered.entries,
            tables=self._tables(expected, registered.entries),
            checkpoints={},
            others=registered.others,
            workspace=registered.facts,
            models=gather_models(registry, sorted(expected.models), registry_seconds) if expected.models else {},
            # Versions, disk and memory of this machine are not those of the cluster.
            platform=PlatformFacts({}, {}, None, None, registered.skew),
            now=time.time(),
        )

    def _tables(
        self, expected: Expected, entries: Mapping[str, Entry | Unknown | None]
    ) -> Mapping[str, TableFacts | Nothing | Unknown]:
        """Return the tables by path: where an entry points to, and where a new table would be created."""
        names: dict[str, str] = {}
        paths: dict[str, str] = {}
        for name in expected.specs:
            entry = entries.get(name)
            path = expected.path(name)
            if isinstance(entry, Entry) and entry.kind != "view" and entry.location is not None:
                # By name, because nobody may read the path of a managed table.
                names[canonical(entry.location)] = entry.name
            elif entry is None and path is not None:
                paths.setdefault(canonical(path), path)
        reader = (
            Unknown("tables of a workspace are read by a SQL warehouse: give --warehouse")
            if self.warehouse is None
            else warehouse(self.warehouse, self.profile)
        )
        if isinstance(reader, Unknown):
            return dict.fromkeys([*names, *paths], reader)
        by_path = {key: partial(reader.table_at, path) for key, path in paths.items()}
        by_name = {key: partial(reader.table_named, name) for key, name in names.items()}
        return reader.workspace.in_parallel(by_path | by_name)

    def _with_profile(self, settings: Settings) -> Settings:
        """Return the settings with the profile in MLflow's addresses."""
        uris = {"tracking_uri": settings.tracking_uri, "registry_uri": settings.registry_uri}
        own = {name: f"{uri}://{self.profile}" for name, uri in uris.items() if uri in ("databricks", "databricks-uc")}
        return settings if self.profile is None else settings.model_copy(update=own)
