"""Which privileges a job's streams need on which objects of Unity Catalog.

Source: docs.databricks.com, "Unity Catalog privileges and securable objects"; to create an external table and to look
whether its place is free takes CREATE EXTERNAL TABLE, READ FILES and WRITE FILES on the external location.
"""

import re
from collections.abc import Mapping, Sequence

from sensor_streams.locations import inside, same_place
from sensor_streams.preflight.facts import Entry, Expected, ExternalLocation, Unknown
from sensor_streams.sql_names import quoted as quoted

# Kind of an object as the permissions API calls it, and its full name. A registered model is a function there.
Securable = tuple[str, str]

_VOLUME = re.compile(r"/Volumes/([^/]+)/([^/]+)/([^/]+)(?:/|$)")


def volumes_of(meant: Expected) -> dict[str, frozenset[str]]:
    """The volumes that the job's folders lie in, by full name, and what it does with each."""
    reads_files = any(not stream.sources for stream in meant.streams)
    wanted = {meant.checkpoints: ("READ_VOLUME", "WRITE_VOLUME")}
    if reads_files:
        wanted[meant.landing] = (*wanted.get(meant.landing, ()), "READ_VOLUME")
    volumes: dict[str, frozenset[str]] = {}
    for folder, privileges in wanted.items():
        if found := _VOLUME.match(folder):
            name = ".".join(found.groups())
            volumes[name] = volumes.get(name, frozenset()) | frozenset(privileges)
    return volumes


def tables_of(meant: Expected) -> dict[str, frozenset[str]]:
    """The tables that the job touches, by short name, and what it does with each."""
    tables: dict[str, frozenset[str]] = {}
    for stream in meant.streams:
        # A MERGE reads what it writes.
        for name in (spec.name for spec in stream.sinks):
            tables[name] = frozenset(("SELECT", "MODIFY"))
        for name in stream.sources:
            tables[name] = tables.get(name, frozenset()) | {"SELECT"}
    return tables


def models_of(meant: Expected) -> list[str]:
    """The registered models that the job scores with, by full name; none where the registry is no Unity Catalog."""
    names = (meant.models.get(stream.model) for stream in meant.streams if stream.model is not None)
    return sorted({name for name in names if name is not None and name.count(".") == 2})


def covering(locations: Sequence[ExternalLocation], place: str) -> ExternalLocation | None:
    """The external location that a place is or lies in, the innermost one; None when it is outside of all."""
    around = [at for at in locations if same_place(place, at.url) or inside(place, at.url)]
    return max(around, key=lambda at: len(at.url.rstrip("/")), default=None)


def needed(
    meant: Expected,
    entries: Mapping[str, Entry | Unknown | None],
    locations: Sequence[ExternalLocation] | Unknown,
    missing: Sequence[Securable] = (),
) -> dict[Securable, frozenset[str]]:
    """What the job needs: object → privileges as the API names them (`USE_SCHEMA`).

    entries: of each table; one without an entry is still to be made, as is a schema among `missing`.
    """
    wants: dict[Securable, set[str]] = {}

    def want(kind: str, name: str, *privileges: str) -> None:
        wants.setdefault((kind, name), set()).update(privileges)

    def within(name: str) -> None:
        catalog, schema, _ = name.split(".")
        want("catalog", catalog, "USE_CATALOG")
        if ("schema", f"{catalog}.{schema}") not in missing:
            want("schema", f"{catalog}.{schema}", "USE_SCHEMA")

    tables = tables_of(meant)
    for table, privileges in tables.items():
        within(meant.full(table))
        if entries.get(table) is not None:
            want("table", meant.full(table), *privileges)
    to_make = [name for name, does in tables.items() if "MODIFY" in does and entries.get(name) is None]
    if to_make:
        if ("schema", f"{meant.catalog}.{meant.schema}") in missing:
            want("catalog", meant.catalog, "CREATE_SCHEMA")
        else:
            want("schema", f"{meant.catalog}.{meant.schema}", "CREATE_TABLE")
        if meant.tables is not None and not isinstance(locations, Unknown):
            at = covering(locations, meant.tables)
            if at is not None:
                want("external_location", at.name, "CREATE_EXTERNAL_TABLE", "READ_FILES", "WRITE_FILES")
    for volume, privileges in volumes_of(meant).items():
        within(volume)
        want("volume", volume, *privileges)
    for model in models_of(meant):
        within(model)
        want("function", model, "EXECUTE")
    return {what: frozenset(privileges) for what, privileges in wants.items() if what not in missing}


def lacking(wanted: frozenset[str], held: frozenset[str]) -> frozenset[str]:
    """The privileges that are wanted and not held; who owns the object or has all privileges lacks none."""
    return frozenset() if held & {"OWNER", "ALL_PRIVILEGES"} else wanted - held
