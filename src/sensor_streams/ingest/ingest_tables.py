"""The three tables of ingestion: accepted readings, rejected lines, and files."""

from sensor_streams.fleet import Fleet
from sensor_streams.table_spec import Columns, TableSpec

_LINE: Columns = [("source_file", "string"), ("line_hash", "bigint"), ("line_occurrence", "int")]


def readings_columns(fleet: Fleet) -> Columns:
    """Return the columns of `readings`: accepted readings, with the fleet's own fields."""
    return [
        ("device_id", "string"),
        ("sensor", "string"),
        ("event_time", "timestamp"),
        ("sequence", "bigint"),
        ("value", "double"),
        ("unit", "string"),
        ("quality", "string"),
        *[(name, kind) for name, kind in fleet.fields.items()],
        ("event_date", "date"),
        ("arrived_at", "timestamp"),
        *_LINE,
    ]


def rejected_table(_: Fleet) -> TableSpec:
    """Return `readings_rejected`: whole lines with the reason, and their bytes when they are not valid UTF-8."""
    columns: Columns = [
        *_LINE,
        ("raw", "string"),
        ("raw_bytes", "binary"),
        ("reason", "string"),
        ("detail", "string"),
        ("arrived_at", "timestamp"),
        ("arrived_date", "date"),
    ]
    return TableSpec("readings_rejected", columns, ("source_file", "line_hash", "line_occurrence"), "arrived_date")


def files_table(_: Fleet) -> TableSpec:
    """Return `ingested_files`: one row per file, with lines = accepted + rejected + duplicates.

    state: DONE, or SET_ASIDE with the reason. batch_id: −1 when the command `reread` read the file last.
    """
    columns: Columns = [
        ("source_file", "string"),
        ("batch_id", "bigint"),
        ("arrived_at", "timestamp"),
        ("bytes", "bigint"),
        ("lines", "bigint"),
        ("accepted", "bigint"),
        ("rejected", "bigint"),
        ("duplicates", "bigint"),
        ("state", "string"),
        ("reason", "string"),
        ("recorded_at", "timestamp"),
    ]
    return TableSpec("ingested_files", columns, ("source_file",))
