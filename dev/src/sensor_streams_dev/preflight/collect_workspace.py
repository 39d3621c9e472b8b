"""All facts of some streams of a workspace, asked for from a laptop or from CI."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Stream
from sensor_streams.locations import canonical
from sensor_streams.preflight.expected import expected_of
from sensor_streams.preflight.facts import Entry, Expected, Facts, Nothing, PlatformFacts, TableFacts, Unknown
from sensor_streams.preflight.model_facts import gather_models
from sensor_streams.settings import Settings
from sensor_streams.stores import registry_of
from sensor_streams_dev.preflight.principal import caller
from sensor_streams_dev.preflight.warehouse import warehouse
from sensor_streams_dev.preflight.workspace_client import Patience, connect
from sensor_streams_dev.preflight.workspace_objects import WorkspaceRegistered


@dataclass(frozen=True)
class WorkspaceCollector:
    """How a workspace is asked: a profile of the CLI's configuration, a SQL warehouse that reads the tables, whether
    credentials are tried by writing."""

    profile: str | None = None
    warehouse: str | None = None
    probe_write: bool = False

    def caller_name(self) -> str | Unknown:
        """The user's name in the workspace, by which targets in development mode name their things."""
        workspace = connect(self.profile, Patience())
        if isinstance(workspace, Unknown):
            return workspace
        asked = workspace.answer(lambda: caller(workspace))
        return asked if isinstance(asked, Unknown) else asked[0].name

    def facts(
        self, settings: Settings, streams: Sequence[Stream], fleet: Fleet, principal: str, registry_seconds: float
    ) -> Facts:
        """What is true for streams that run as that principal; without their checkpoints, which lie in a volume.

        registry_seconds: how long the model registry has to answer.
        """
        meant = expected_of(settings, streams, fleet, principal=principal)
        registered = WorkspaceRegistered(self.profile, probe_write=self.probe_write).gather(meant)
        registry = registry_of(self._as_mlflow_has_it(settings))
        return Facts(
            meant=meant,
            entries=registered.entries,
            tables=self._tables(meant, registered.entries),
            checkpoints={},
            others=registered.others,
            workspace=registered.facts,
            models=gather_models(registry, sorted(meant.models), registry_seconds) if meant.models else {},
            # Versions, disk and memory are the cluster's, and not those of this machine.
            platform=PlatformFacts({}, {}, None, None, registered.skew),
            now=time.time(),
        )

    def _tables(
        self, meant: Expected, entries: Mapping[str, Entry | Unknown | None]
    ) -> Mapping[str, TableFacts | Nothing | Unknown]:
        """The tables by place: where an entry leads, and where a table without one would be made."""
        questions: dict[str, tuple[str, str]] = {}
        for name in meant.specs:
            entry = entries.get(name)
            if isinstance(entry, Entry) and entry.kind != "view" and entry.location is not None:
                # By its name: the place of a managed table is not to be read.
                questions[canonical(entry.location)] = ("name", entry.name)
            elif entry is None and meant.tables is not None:
                place = f"{meant.tables.rstrip('/')}/{name}"
                questions.setdefault(canonical(place), ("place", place))
        if self.warehouse is None:
            return dict.fromkeys(questions, Unknown("only a SQL warehouse reads tables from outside: give --warehouse"))
        reader = warehouse(self.warehouse, self.profile)
        if isinstance(reader, Unknown):
            return dict.fromkeys(questions, reader)

        def ask(kind: str, what: str) -> Callable[[], TableFacts | Nothing | Unknown]:
            return lambda: reader.table_named(what) if kind == "name" else reader.table_at(what)

        return reader.workspace.side_by_side({place: ask(*asked) for place, asked in questions.items()})

    def _as_mlflow_has_it(self, settings: Settings) -> Settings:
        """The settings with the profile in MLflow's addresses."""
        if self.profile is None:
            return settings
        uris = {"tracking_uri": settings.tracking_uri, "registry_uri": settings.registry_uri}
        named = {
            name: f"{uri}://{self.profile}" for name, uri in uris.items() if uri in ("databricks", "databricks-uc")
        }
        return settings.model_copy(update=named)
