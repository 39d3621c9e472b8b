"""Tables as they lie, read from a laptop through a SQL warehouse. Its statements only describe."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sensor_streams.preflight.facts import Column, Commit, Nothing, TableFacts, Unknown
from sensor_streams_dev.preflight.answers import NoAnswerError
from sensor_streams_dev.preflight.required_privileges import quoted
from sensor_streams_dev.preflight.workspace_client import Patience, WorkspaceReader, connect

# What Databricks says of a place without a Delta table, and of a name without an entry.
_NOTHING = re.compile(
    r"DELTA_MISSING_DELTA_TABLE|DELTA_TABLE_NOT_FOUND|DELTA_PATH_DOES_NOT_EXIST|DELTA_MISSING_TRANSACTION_LOG|"
    r"TABLE_OR_VIEW_NOT_FOUND"
)
# The longest that the service waits by itself, in seconds; a warehouse that stands still takes minutes to start.
_WAIT = 50
_NEWEST = 50
_CONSTRAINT = "delta.constraints."


@dataclass(frozen=True)
class Warehouse:
    """A SQL warehouse of a workspace. It is asked by POST, as nothing else is: a statement is a request."""

    workspace: WorkspaceReader
    identity: str

    def table_named(self, full_name: str) -> TableFacts | Nothing | Unknown:
        """The table that `catalog.schema.table` leads to, as `table_at` has it; Nothing where there is none."""
        return self.workspace.answer(lambda: self._table(".".join(map(quoted, full_name.split("."))), full_name))

    def table_at(self, location: str) -> TableFacts | Nothing | Unknown:
        """The Delta table at a place.

        What DESCRIBE does not tell stays empty: `transactions`, which stream wrote up to which batch, and `app` and
        `app_version` of commits. `nullable` of columns is always True, `files` of Nothing 0. `history` has the newest
        50 commits; `earliest` is the first one that the history still tells of.
        """
        return self.workspace.answer(lambda: self._table(f"delta.{quoted(location)}", location))

    def _table(self, table: str, asked: str) -> TableFacts | Nothing:
        try:
            (detail,) = self._rows(f"DESCRIBE DETAIL {table}")
        except _NoTableError:
            return Nothing(asked, 0)
        if detail.get("format") != "delta":
            raise NoAnswerError(f"a table in the format {detail.get('format')} lies there, not Delta")
        history = self._rows(f"DESCRIBE HISTORY {table} LIMIT {_NEWEST}")
        (first,) = self._rows(f"SELECT min(version) AS version FROM (DESCRIBE HISTORY {table})")
        columns = self._rows(f"DESCRIBE TABLE {table}")
        if not history:
            raise NoAnswerError("its history is empty")
        properties = _parsed(detail, "properties", dict)
        return TableFacts(
            location=_text(detail, "location"),
            table_id=_text(detail, "id"),
            version=int(_text(history[0], "version")),
            earliest=int(_text(first, "version")),
            columns=_columns(columns),
            partitions=_parsed(detail, "partitionColumns", list),
            properties=properties,
            reader_version=int(_text(detail, "minReaderVersion")),
            writer_version=int(_text(detail, "minWriterVersion")),
            table_features=frozenset(_parsed(detail, "tableFeatures", list)),
            constraints={
                name.removeprefix(_CONSTRAINT): told
                for name, told in properties.items()
                if name.startswith(_CONSTRAINT)
            },
            transactions={},
            history=[_commit(row) for row in history],
        )

    def _rows(self, statement: str) -> list[Mapping[str, Any]]:
        """The rows of a statement, each column's text by its name. Raises _NoTableError and NoAnswerError."""
        body = {
            "warehouse_id": self.identity,
            "statement": statement,
            "wait_timeout": f"{_WAIT}s",
            # What is not done by then must not run on without anybody who reads it.
            "on_wait_timeout": "CANCEL",
            "format": "JSON_ARRAY",
            "disposition": "INLINE",
        }
        told: Any = self.workspace.client.api_client.do("POST", "/api/2.0/sql/statements/", body=body)
        status = told.get("status") if isinstance(told, dict) else None
        state = status.get("state") if isinstance(status, dict) else None
        if state != "SUCCEEDED":
            raise _refused(status, state)
        manifest, result = told.get("manifest", {}), told.get("result", {})
        if manifest.get("truncated") or result.get("next_chunk_index") is not None:
            raise NoAnswerError("its answer comes in more than one part")
        names = [column["name"] for column in manifest["schema"]["columns"]]
        return [dict(zip(names, row, strict=True)) for row in result.get("data_array") or []]


class _NoTableError(Exception):
    """There is no Delta table, or no entry."""


def warehouse(identity: str, profile: str | None = None, seconds: float = 180.0) -> Warehouse | Unknown:
    """A warehouse by its id. Raises ConfigurationError when the profile is not there."""
    # An answer takes as long as the statement may.
    workspace = connect(profile, Patience(call=_WAIT + 10, total=seconds))
    return workspace if isinstance(workspace, Unknown) else Warehouse(workspace, identity)


def _refused(status: Any, state: object) -> Exception:
    error = status.get("error") if isinstance(status, dict) else None
    said = str(error.get("message", "")) if isinstance(error, dict) else ""
    if state == "FAILED" and _NOTHING.search(said):
        return _NoTableError()
    if state == "CANCELED":
        return NoAnswerError(f"the warehouse did not finish within {_WAIT} s: start it, and ask again")
    return NoAnswerError(f"the warehouse says {state}: {said.partition(chr(10))[0][:200]}")


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        raise NoAnswerError(f"its answer has no {name}")
    return str(value)


def _parsed(row: Mapping[str, Any], name: str, kind: type) -> Any:
    """A list or map, which comes as JSON text; empty where the column is null."""
    value = row.get(name)
    parsed = json.loads(value) if isinstance(value, str) else value
    if parsed is None:
        return kind()
    if not isinstance(parsed, kind):
        raise NoAnswerError(f"its answer has something else as {name}")
    return parsed


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The columns; what follows them, after an empty name or one with `#`, is of partitions."""
    columns = []
    for row in rows:
        name = row.get("col_name")
        if not name or str(name).startswith("#"):
            break
        columns.append(Column(str(name), _text(row, "data_type")))
    return columns


def _commit(row: Mapping[str, Any]) -> Commit:
    at = datetime.fromisoformat(_text(row, "timestamp").replace("Z", "+00:00"))
    parameters = {str(name): str(told) for name, told in _parsed(row, "operationParameters", dict).items()}
    engine = row.get("engineInfo") or ""
    return Commit(int(_text(row, "version")), at.timestamp(), _text(row, "operation"), parameters, str(engine))
