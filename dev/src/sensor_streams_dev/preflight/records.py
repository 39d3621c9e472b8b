"""Convert records of Unity Catalog: tables, external locations, credentials and model aliases."""

from collections.abc import Mapping, Sequence
from typing import Literal

from sensor_streams.inference.registry import ALIAS
from sensor_streams.preflight.facts import Entry
from sensor_streams_dev.preflight.answers import NoAnswerError, Record, flag, records_of, text
from sensor_streams_dev.preflight.workspace_facts import ExternalLocation

_KINDS: Mapping[str, Literal["external", "managed", "view"]] = {
    "EXTERNAL": "external",
    "EXTERNAL_SHALLOW_CLONE": "external",
    "MANAGED": "managed",
    "MANAGED_SHALLOW_CLONE": "managed",
    "STREAMING_TABLE": "managed",
    "VIEW": "view",
    "MATERIALIZED_VIEW": "view",
    "METRIC_VIEW": "view",
}


def entry_of(record: Record) -> Entry:
    """Return a table's entry.

    Raises NoAnswerError for an unknown type, a format other than Delta, or a missing location.
    """
    table_type = text(record, "table_type")
    kind = _KINDS.get(table_type)
    if kind is None:
        raise NoAnswerError(f"it is registered as {table_type}, which preflight does not know")
    data_format = text(record, "data_source_format", "DELTA")
    if kind != "view" and data_format != "DELTA":
        raise NoAnswerError(f"it is registered as a table in the format {data_format}, not Delta")
    location = text(record, "storage_location") if kind == "external" else text(record, "storage_location", "")
    return Entry(text(record, "full_name"), kind, location or None)


def champion_of(record: Record) -> str:
    """Return the version with the alias champion; empty without one. Raises NoAnswerError."""
    for alias in records_of(record, "aliases"):
        if text(alias, "alias_name") == ALIAS:
            version = alias.get("version_num")
            if not isinstance(version, int):
                raise NoAnswerError("its answer has no version of the alias")
            return str(version)
    return ""


def others_of(records: Sequence[Record], own: Mapping[str, bool]) -> list[Entry]:
    """Return the Delta tables of a schema, except our own. own: full name in lower case → True if it exists.

    Raises NoAnswerError if an existing table is missing, because the list is then incomplete.
    """
    listed = {text(one, "full_name").lower(): one for one in records}
    missing = sorted(name for name, exists in own.items() if exists and name not in listed)
    if missing:
        raise NoAnswerError(f"its list of the schema is incomplete: {', '.join(missing)} is missing")
    others = [entry_of(one) for name, one in listed.items() if name not in own and _is_delta(one)]
    return [entry for entry in others if entry.kind != "view"]


def _is_delta(record: Record) -> bool:
    return text(record, "table_type", "") in _KINDS and text(record, "data_source_format", "DELTA") == "DELTA"


def locations_of(records: Sequence[Record]) -> list[ExternalLocation]:
    """Return external locations. Raises NoAnswerError."""
    return [
        ExternalLocation(text(one, "name"), text(one, "url"), text(one, "credential_name", ""), flag(one, "read_only"))
        for one in records
    ]


def credentials_of(records: Sequence[Record]) -> dict[str, bool]:
    """Return credentials, name → read-only. Raises NoAnswerError."""
    return {text(one, "name"): flag(one, "read_only") for one in records}
