"""Properties of any bundle: invalid content raises BundleError only, and variables have one order of precedence."""

import contextlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dabs_lab.bundle import BundleError, load_bundle
from dabs_lab.bundle.loading import parse, scalar
from dabs_lab.bundle.merging import merge
from dabs_lab.bundle.root_schema import ROOT
from dabs_lab.bundle.type_checks import normalise, without_added_zero_values, without_zero_values
from dabs_lab.bundle.yaml_nodes import Node

CASES = Path(__file__).parent / "cases"
SAMPLES = [
    yaml.safe_load((CASES / name / "databricks.yml").read_text("utf-8"))
    for name in ("02-complex-variables", "06-references", "07-development-mode", "08-production-mode")
]
ODD: list[Any] = [None, "", 0, -1, 1.5, True, [], {}, [None], {"a": None}, "${var.x}", "${resources.jobs.j.id}", "x"]
SOURCES = ("flag", "environment", "file", "target", "default")


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, below in pairs for found in paths(below, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], other)
    return copy


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_invalid_values_raise_no_other_error_than_bundle_error(data: st.DataObject) -> None:
    content = data.draw(st.sampled_from(SAMPLES))
    for _ in range(2):
        content = replaced(content, data.draw(st.sampled_from(paths(content))), data.draw(st.sampled_from(ODD)))
    with TemporaryDirectory() as folder:
        (Path(folder) / "databricks.yml").write_text(yaml.safe_dump(content), "utf-8")
        with contextlib.suppress(BundleError):
            bundle = load_bundle(Path(folder), environment={})
            assert bundle.resources.keys() <= {"jobs", "schemas", "volumes"}
            _ = bundle.jobs


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_zero_values_of_an_included_file_are_dropped_as_if_the_whole_bundle_was_looked_at(data: st.DataObject) -> None:
    def draw_file(number: int) -> Node:
        content = data.draw(st.sampled_from(SAMPLES))
        for _ in range(number):
            content = replaced(content, data.draw(st.sampled_from(paths(content))), data.draw(st.sampled_from(ODD)))
        node = parse(yaml.safe_dump(content if isinstance(content, dict) else {}), "file.yml")
        return normalise(node, ROOT, lambda _: None) or Node({})

    with contextlib.suppress(BundleError):
        base, added = without_zero_values(draw_file(1), ROOT), draw_file(3)
        merged = merge(base, added)
        assert without_added_zero_values(merged, added, ROOT) == without_zero_values(merged, ROOT)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(given_by=st.sets(st.sampled_from(SOURCES), min_size=1))
def test_the_source_with_the_highest_precedence_sets_a_variable(given_by: set[str]) -> None:
    root: dict[str, Any] = {"bundle": {"name": "b"}, "variables": {"v": {}}, "targets": {"t": {}}}
    if "default" in given_by:
        root["variables"]["v"]["default"] = "default"
    if "target" in given_by:
        root["targets"]["t"]["variables"] = {"v": "target"}
    with TemporaryDirectory() as folder:
        (Path(folder) / "databricks.yml").write_text(yaml.safe_dump(root), "utf-8")
        if "file" in given_by:
            file = Path(folder) / ".databricks/bundle/t/variable-overrides.json"
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps({"v": "file"}), "utf-8")
        bundle = load_bundle(
            Path(folder),
            variables={"v": "flag"} if "flag" in given_by else {},
            environment={"BUNDLE_VAR_v": "environment"} if "environment" in given_by else {},
        )
    assert bundle.variables == {"v": next(source for source in SOURCES if source in given_by)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("True", True),
        ("null", None),
        ("~", None),
        ("0777", 777),
        ("-007", -7),
        ("0x10", 16),
        ("0o17", 15),
        ("1_000", 1000),
        ("+5", 5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("2026-01-01", "2026-01-01"),
        ("12:30:45", "12:30:45"),
        ("1.2.3", "1.2.3"),
        ("0x", "0x"),
    ],
)
def test_unquoted_scalars_follow_the_rules_of_the_cli(text: str, value: object) -> None:
    found = scalar(text)
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)
