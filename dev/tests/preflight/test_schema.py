"""Columns that differ from their declaration."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dev.tests.preflight.broken import Copy
from tests.plant import Plant

pytestmark = [pytest.mark.xdist_group("preflight"), pytest.mark.slow]


@pytest.fixture
def copy(original: Plant, tmp_path: Path) -> Copy:
    """A copy whose readings a test may change: the sink of one stream and the source of another."""
    return Copy.of(original, tmp_path, "readings")


def alter(copy: Copy, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change the columns by a commit of another engine."""
    first = [json.loads(line) for line in copy.log("readings", 0).read_text("utf-8").splitlines()]
    metadata = next(action["metaData"] for action in first if "metaData" in action)
    schema = json.loads(metadata["schemaString"])
    change(schema["fields"])
    copy.commit("readings", {"metaData": {**metadata, "schemaString": json.dumps(schema)}})


def test_a_column_of_another_type_is_found(copy: Copy) -> None:
    copy.sql("ALTER TABLE {} SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')", "readings")
    assert copy.found() == {}
    copy.sql("ALTER TABLE {} ALTER COLUMN line_occurrence TYPE BIGINT", "readings")
    assert copy.only("schema.type").found == "- line_occurrence int\n+ line_occurrence bigint"


def test_a_renamed_or_dropped_column_is_found(copy: Copy) -> None:
    copy.sql("ALTER TABLE {} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')", "readings")
    assert copy.found() == {}
    copy.sql("ALTER TABLE {} RENAME COLUMN value TO v", "readings")
    assert copy.only("schema.missing").found == "- value double"
    copy.sql("ALTER TABLE {} RENAME COLUMN v TO Value", "readings")
    finding = copy.only("schema.case")
    assert finding.found == "- value double\n+ Value double"
    assert finding.command is not None
    for statement in finding.command.split("; "):
        copy.sql(statement.replace(copy.name("readings"), "{}"), "readings")
    assert copy.found() == {}
    copy.sql("ALTER TABLE {} DROP COLUMN unit", "readings")
    assert copy.only("schema.missing").found == "- unit string"


def test_a_not_null_column_is_found(copy: Copy) -> None:
    alter(copy, lambda fields: [f.update(nullable=False) for f in fields if f["name"] in ("unit", "device_id")])
    assert copy.only("schema.nullable").found == "- unit string\n+ unit string NOT NULL"


def test_a_missing_new_column_is_healthy_but_a_missing_key_column_is_found(copy: Copy) -> None:
    alter(copy, lambda fields: fields.remove(next(f for f in fields if f["name"] == "quality")))
    assert copy.found() == {}
    alter(copy, lambda fields: fields.remove(next(f for f in fields if f["name"] == "sensor")))
    assert copy.only("schema.missing").found == "- sensor string"
