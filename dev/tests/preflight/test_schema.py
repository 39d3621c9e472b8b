"""Columns that are not as the streams are declared with them."""

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
    """A copy whose readings may be changed: the sink of one stream, the source of another."""
    return Copy.of(original, tmp_path, "readings")


def alter(copy: Copy, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Another engine's change of the columns, by a commit of its own."""
    first = [json.loads(line) for line in copy.log("readings", 0).read_text("utf-8").splitlines()]
    metadata = next(action["metaData"] for action in first if "metaData" in action)
    schema = json.loads(metadata["schemaString"])
    change(schema["fields"])
    copy.commit("readings", {"metaData": {**metadata, "schemaString": json.dumps(schema)}})


def test_a_column_of_another_type_is_drawn(copy: Copy) -> None:
    copy.sql("ALTER TABLE {} SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')", "readings")
    assert copy.found() == {}
    copy.sql("ALTER TABLE {} ALTER COLUMN line_occurrence TYPE BIGINT", "readings")
    assert copy.says("schema.type").found == "- line_occurrence int\n+ line_occurrence bigint"


def test_a_column_that_was_renamed_or_dropped_is_drawn(copy: Copy) -> None:
    copy.sql("ALTER TABLE {} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')", "readings")
    assert copy.found() == {}
    copy.sql("ALTER TABLE {} RENAME COLUMN value TO v", "readings")
    assert copy.says("schema.missing").found == "- value double"
    copy.sql("ALTER TABLE {} RENAME COLUMN v TO Value", "readings")
    told = copy.says("schema.case")
    assert told.found == "- value double\n+ Value double"
    assert told.command is not None
    for statement in told.command.split("; "):
        copy.sql(statement.replace(copy.name("readings"), "{}"), "readings")
    assert copy.found() == {}
    copy.sql("ALTER TABLE {} DROP COLUMN unit", "readings")
    assert copy.says("schema.missing").found == "- unit string"


def test_a_column_that_takes_no_nulls_is_drawn(copy: Copy) -> None:
    alter(copy, lambda fields: [f.update(nullable=False) for f in fields if f["name"] in ("unit", "device_id")])
    assert copy.says("schema.nullable").found == "- unit string\n+ unit string NOT NULL"


def test_a_column_that_the_fleet_has_come_to_ask_for_is_no_fault_and_one_of_the_key_is(copy: Copy) -> None:
    alter(copy, lambda fields: fields.remove(next(f for f in fields if f["name"] == "quality")))
    assert copy.found() == {}
    alter(copy, lambda fields: fields.remove(next(f for f in fields if f["name"] == "sensor")))
    assert copy.says("schema.missing").found == "- sensor string"
