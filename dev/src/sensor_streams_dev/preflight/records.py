"""What the records of Unity Catalog say: entries of tables, external locations, credentials, aliases of models."""

from collections.abc import Mapping, Sequence
from typing import Literal

from sensor_streams.inference.registry import ALIAS
from sensor_streams.preflight.facts import Entry, ExternalLocation
from sensor_streams_dev.preflight.answers import NoAnswerError, Record, flag, records_of, text

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
    """A table's entry. Its id in Unity Catalog is not the one that Delta gave the table, so that stays empty.

    Raises NoAnswerError for what is neither table nor view, has another format than Delta, or lacks its location.
    """
    told = text(record, "table_type")
    kind = _KINDS.get(told)
    if kind is None:
        raise NoAnswerError(f"it is registered as {told}, which preflight does not know")
    written = text(record, "data_source_format", "DELTA")
    if kind != "view" and written != "DELTA":
        raise NoAnswerError(f"it is registered as a table in the format {written}, not Delta")
    location = text(record, "storage_location") if kind == "external" else text(record, "storage_location", "")
    credential = text(record, "storage_credential_name", "")
    return Entry(text(record, "full_name"), kind, location or None, credential=credential or None)


def champion_of(record: Record) -> str:
    """The version that the alias leads to, empty without it. Raises NoAnswerError."""
    for alias in records_of(record, "aliases"):
        if text(alias, "alias_name") == ALIAS:
            version = alias.get("version_num")
            if not isinstance(version, int):
                raise NoAnswerError("its answer has no version of the alias")
            return str(version)
    return ""


def others_of(records: Sequence[Record], own: Mapping[str, bool]) -> list[Entry]:
    """The Delta tables of a schema's listing but our own; own: full name in small letters → it is there.

    Raises NoAnswerError when the listing lacks a table that is there, for then it is not whole.
    """
    listed = {text(one, "full_name").lower(): one for one in records}
    lacks = sorted(name for name, there in own.items() if there and name not in listed)
    if lacks:
        raise NoAnswerError(f"its listing of the schema lacks {', '.join(lacks)}, which it has")
    others = [entry_of(one) for name, one in listed.items() if name not in own and _is_delta(one)]
    return [entry for entry in others if entry.kind != "view"]


def _is_delta(record: Record) -> bool:
    return text(record, "table_type", "") in _KINDS and text(record, "data_source_format", "DELTA") == "DELTA"


def locations_of(records: Sequence[Record]) -> list[ExternalLocation]:
    """The external locations of a listing. Raises NoAnswerError."""
    return [
        ExternalLocation(text(one, "name"), text(one, "url"), text(one, "credential_name", ""), flag(one, "read_only"))
        for one in records
    ]


def credentials_of(records: Sequence[Record]) -> dict[str, bool]:
    """The credentials of a listing: name → usable for reading only. Raises NoAnswerError."""
    return {text(one, "name"): flag(one, "read_only") for one in records}
