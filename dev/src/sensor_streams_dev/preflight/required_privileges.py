"""Privileges that a job's streams need in Unity Catalog.

Source: docs.databricks.com, "Unity Catalog privileges and securable objects". To create an external table, and to see
that its path is free, takes CREATE EXTERNAL TABLE, READ FILES and WRITE FILES on the external location.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from sensor_streams.locations import inside, same_place
from sensor_streams.preflight.facts import Entry, Expected, Unknown
from sensor_streams_dev.preflight.workspace_facts import ExternalLocation

# Kind of an object in the permissions API, and its full name. A registered model has the kind function.
Securable = tuple[str, str]

_VOLUME = re.compile(r"/Volumes/([^/]+)/([^/]+)/([^/]+)(?:/|$)")


def volumes_of(expected: Expected) -> dict[str, frozenset[str]]:
    """Return the volumes of the job's folders: full name → privileges."""
    folders = [(expected.checkpoints, {"READ_VOLUME", "WRITE_VOLUME"})]
    if any(not stream.sources for stream in expected.streams):
        folders.append((expected.landing, {"READ_VOLUME"}))
    volumes: dict[str, frozenset[str]] = {}
    for folder, privileges in folders:
        if found := _VOLUME.match(folder):
            name = ".".join(found.groups())
            volumes[name] = volumes.get(name, frozenset()) | privileges
    return volumes


def tables_of(expected: Expected) -> dict[str, frozenset[str]]:
    """Return the tables of the job: short name → privileges."""
    tables: dict[str, frozenset[str]] = {}
    for stream in expected.streams:
        # MERGE reads the table that it writes.
        tables |= {spec.name: frozenset(("SELECT", "MODIFY")) for spec in stream.sinks}
        for name in stream.sources:
            tables[name] = tables.get(name, frozenset()) | {"SELECT"}
    return tables


def models_of(expected: Expected) -> list[str]:
    """Return the full names of the registered models that score; empty if the registry is not Unity Catalog."""
    names = (expected.models.get(stream.model) for stream in expected.streams if stream.model is not None)
    return sorted({name for name in names if name is not None and name.count(".") == 2})


def covering(locations: Sequence[ExternalLocation], path: str) -> ExternalLocation | None:
    """Return the innermost external location that contains a path, or None."""
    around = [at for at in locations if same_place(path, at.url) or inside(path, at.url)]
    return max(around, key=lambda at: len(at.url.rstrip("/")), default=None)


def required(
    expected: Expected,
    entries: Mapping[str, Entry | Unknown | None],
    locations: Sequence[ExternalLocation] | Unknown,
    missing: Sequence[Securable] = (),
) -> dict[Securable, frozenset[str]]:
    """Return object → privileges that the job needs, in the spelling of the API (`USE_SCHEMA`).

    A table without an entry has to be created, and so has a schema in `missing`.
    """
    wanted: dict[Securable, set[str]] = defaultdict(set)

    def want(kind: str, name: str, *privileges: str) -> None:
        catalog, schema, _ = name.split(".")
        wanted["catalog", catalog].add("USE_CATALOG")
        if ("schema", f"{catalog}.{schema}") not in missing:
            wanted["schema", f"{catalog}.{schema}"].add("USE_SCHEMA")
        if privileges:
            wanted[kind, name].update(privileges)

    tables = tables_of(expected)
    for table, privileges in tables.items():
        want("table", expected.full(table), *(privileges if entries.get(table) is not None else ()))
    if any("MODIFY" in privileges and entries.get(name) is None for name, privileges in tables.items()):
        schema = f"{expected.catalog}.{expected.schema}"
        if ("schema", schema) in missing:
            wanted["catalog", expected.catalog].add("CREATE_SCHEMA")
        else:
            wanted["schema", schema].add("CREATE_TABLE")
        if expected.tables is not None and not isinstance(locations, Unknown):
            at = covering(locations, expected.tables)
            if at is not None:
                wanted["external_location", at.name] = {"CREATE_EXTERNAL_TABLE", "READ_FILES", "WRITE_FILES"}
    for volume, privileges in volumes_of(expected).items():
        want("volume", volume, *privileges)
    for model in models_of(expected):
        want("function", model, "EXECUTE")
    return {what: frozenset(privileges) for what, privileges in wanted.items() if what not in missing}


def missing_privileges(wanted: frozenset[str], held: frozenset[str]) -> frozenset[str]:
    """Return the wanted privileges that are not held; none for an owner or a holder of ALL PRIVILEGES."""
    return frozenset() if held & {"OWNER", "ALL_PRIVILEGES"} else wanted - held
