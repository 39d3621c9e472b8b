"""Rules on the variables of a bundle."""

import re
from collections.abc import Iterator, Sequence

from dabs_lab.bundle.yaml_nodes import Node
from dabs_lab.check.declaration import CannotTell, Finding, Outcome, rule_across_targets
from dabs_lab.check.places import place_at
from dabs_lab.check.views import TargetView

_VARIABLES = "https://docs.databricks.com/aws/en/dev-tools/bundles/variables"
_USE = re.compile(r"\$\{(?:var|variables)\.([A-Za-z0-9_-]+)")
_PYTHON = (("python",), ("experimental", "python"), ("experimental", "pydabs"))


@rule_across_targets(
    id="D808",
    name="unused-variable",
    severity="warning",
    title="A variable is declared and never used",
    reason=(
        "A value given for it has no effect, and nothing reports it. Files outside the bundle's folder, which other"
        " bundles may include too, are not checked."
    ),
    source=_VARIABLES,
    fix="Remove it, or write `${var.<name>}` where its value belongs.",
)
def unused_variable(targets: Sequence[TargetView]) -> Iterator[Outcome]:
    """Yield each variable without a reference in the files of the bundle."""
    first = targets[0]
    if first.resolved:
        return
    used = {name for _, node in first.written.walk() for name in _USE.findall(node.text)}
    in_python = any(first.written.get_filled(*path) is not None for path in _PYTHON)
    for name in (first.written.get("variables") or Node({})).children:
        if name in used:
            continue
        place = place_at(first.written, ("variables", name), first.texts)
        if place.position.file.startswith("../"):
            continue
        if in_python:
            yield CannotTell(place, f"whether the Python code of the bundle uses variable {name}")
        else:
            yield Finding(place, f"variable {name} is never used")


@rule_across_targets(
    id="D809",
    name="variable-without-description",
    severity="warning",
    title="A variable that needs a value does not say which",
    reason="The user who deploys must give a value, and only the description says what it is for.",
    source=_VARIABLES,
    fix="Add `description`, or a `default`, or a value in each target.",
)
def variable_without_description(targets: Sequence[TargetView]) -> Iterator[Outcome]:
    """Yield each variable without description that has no value in some target."""
    first = targets[0]
    if first.resolved:
        return
    sections = (first.written.get("targets") or Node({})).children
    for name, variable in (first.written.get("variables") or Node({})).children.items():
        if variable.text_at("description") or _has_value(variable):
            continue
        without = [key for key, node in sections.items() if not _has_value(node.get("variables", name))]
        if without or not sections:
            where = f" in {', '.join(without)}" if without else ""
            place = place_at(first.written, ("variables", name), first.texts)
            yield Finding(place, f"variable {name} has no value{where} and no description")


def _has_value(node: Node | None) -> bool:
    return node is not None and any(node.get_filled(field) is not None for field in ("default", "lookup"))
