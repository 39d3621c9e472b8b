"""Read tables through a SQL warehouse. The statements change nothing."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sensor_streams.preflight.facts import Column, Commit, Nothing, TableFacts, Unknown, split_properties
from sensor_streams.sql_names import quoted
from sensor_streams_dev.preflight.answers import NoAnswerError
from sensor_streams_dev.preflight.workspace_client import Timeouts, WorkspaceReader, connect

# Error conditions of Databricks for a path without a Delta table, and for a name without an entry.
_NOTHING = re.compile(
    r"DELTA_MISSING_DELTA_TABLE|DELTA_TABLE_NOT_FOUND|DELTA_PATH_DOES_NOT_EXIST|DELTA_MISSING_TRANSACTION_LOG|"
    r"TABLE_OR_VIEW_NOT_FOUND"
)
# Seconds, the maximum that the service allows. A stopped warehouse takes minutes to start.
_WAIT = 50
_NEWEST = 50


class _NoTableError(Exception):
    """The path has no Delta table, or the name has no entry."""


@dataclass(frozen=True)
class Warehouse:
    """A SQL warehouse of a workspace. Its statements are the only requests by POST."""

    workspace: WorkspaceReader
    warehouse_id: str

    def table_named(self, full_name: str) -> TableFacts | Nothing | Unknown:
        """Return the table of a catalog entry, as `table_at` does; Nothing without an entry."""
        return self.workspace.answer(lambda: self._table(".".join(map(quoted, full_name.split("."))), full_name))

    def table_at(self, location: str) -> TableFacts | Nothing | Unknown:
        """Return the Delta table at a path.

        DESCRIBE leaves some facts empty: `transactions`, and `app` and `app_version` of commits. `nullable` of columns
        is always True, `files` of Nothing 0. `history` has the newest 50 commits, `earliest` is the oldest version.
        """
        return self.workspace.answer(lambda: self._table(f"delta.{quoted(location)}", location))

    def _table(self, table: str, subject: str) -> TableFacts | Nothing:
        try:
            (detail,) = self._rows(f"DESCRIBE DETAIL {table}")
        except _NoTableError:
            return Nothing(subject, 0)
        if detail.get("format") != "delta":
            raise NoAnswerError(f"it is a table in the format {detail.get('format')}, not Delta")
        history = self._rows(f"DESCRIBE HISTORY {table} LIMIT {_NEWEST}")
        (first,) = self._rows(f"SELECT min(version) AS version FROM (DESCRIBE HISTORY {table})")
        columns = self._rows(f"DESCRIBE TABLE {table}")
        if not history:
            raise NoAnswerError("its history is empty")
        properties, constraints = split_properties(_parsed(detail, "properties", dict))
        return TableFacts(
            location=_text(detail, "location"),
            table_id=_text(detail, "id"),
            version=int(_text(history[0], "version")),
            earliest=int(_text(first, "version")),
            columns=_columns(columns),
            partitions=_parsed(detail, "partitionColumns", list),
            properties=properties,
            table_features=frozenset(_parsed(detail, "tableFeatures", list)),
            constraints=constraints,
            transactions={},
            history=[_commit(row) for row in history],
        )

    def _rows(self, statement: str) -> list[Mapping[str, Any]]:
        """Return the rows of a statement, column → text. Raises _NoTableError and NoAnswerError."""
        from databricks.sdk.service import sql

        response = self.workspace.client.statement_execution.execute_statement(
            statement,
            self.warehouse_id,
            wait_timeout=f"{_WAIT}s",
            on_wait_timeout=sql.ExecuteStatementRequestOnWaitTimeout.CANCEL,
            format=sql.Format.JSON_ARRAY,
            disposition=sql.Disposition.INLINE,
        )
        state = None if response.status is None else response.status.state
        error = None if response.status is None else response.status.error
        message = str(error.message or "") if error is not None else ""
        if state == sql.StatementState.FAILED and _NOTHING.search(message):
            raise _NoTableError
        if state == sql.StatementState.CANCELED:
            raise NoAnswerError(f"the warehouse did not finish within {_WAIT} s: start it, and try again")
        manifest, result = response.manifest, response.result
        if state != sql.StatementState.SUCCEEDED or manifest is None or manifest.schema is None or result is None:
            name = "no state" if state is None else state.value
            raise NoAnswerError(f"the warehouse answers {name}: {message.partition(chr(10))[0][:200]}")
        if manifest.truncated or result.next_chunk_index is not None:
            raise NoAnswerError("its answer has more than one part")
        names = [str(column.name) for column in manifest.schema.columns or []]
        return [dict(zip(names, row, strict=True)) for row in result.data_array or []]


def warehouse(warehouse_id: str, profile: str | None = None, seconds: float = 180.0) -> Warehouse | Unknown:
    """Return a warehouse by its id. Raises ConfigurationError for an unknown profile."""
    # A request lasts as long as its statement.
    workspace = connect(profile, Timeouts(call=_WAIT + 10, total=seconds))
    return workspace if isinstance(workspace, Unknown) else Warehouse(workspace, warehouse_id)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        raise NoAnswerError(f"its answer has no {name}")
    return str(value)


def _parsed(row: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return a list or map from its JSON text; empty for null."""
    value = row.get(name)
    parsed = json.loads(value) if isinstance(value, str) else value
    if parsed is None:
        return kind()
    if not isinstance(parsed, kind):
        raise NoAnswerError(f"field {name} of its answer has a wrong type")
    return parsed


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Return the columns. Rows after an empty name or one with `#` describe partitions."""
    columns = []
    for row in rows:
        name = row.get("col_name")
        if not name or str(name).startswith("#"):
            break
        columns.append(Column(str(name), _text(row, "data_type")))
    return columns


def _commit(row: Mapping[str, Any]) -> Commit:
    at = datetime.fromisoformat(_text(row, "timestamp").replace("Z", "+00:00"))
    parameters = {str(name): str(value) for name, value in _parsed(row, "operationParameters", dict).items()}
    engine = row.get("engineInfo") or ""
    return Commit(int(_text(row, "version")), at.timestamp(), _text(row, "operation"), parameters, str(engine))
