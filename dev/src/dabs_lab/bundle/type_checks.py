"""Convert values to their shapes, and report values that do not fit, with the messages of the CLI."""

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal

from dabs_lab.bundle.problems import Path, Problem, Report, path_text, refuse
from dabs_lab.bundle.schemas import AnyValue, Boolean, Fields, Float, Integer, ListOf, MapOf, Shape, Text
from dabs_lab.bundle.yaml_nodes import Node

_SEGMENT = r"[^\W\d_](?:[\w-]*[^\W_])?"
REFERENCE = re.compile(rf"\$\{{({_SEGMENT}(?:\.{_SEGMENT}(?:\[[0-9]+\])*)*(?:\[[0-9]+\])*)\}}")
_TRUE = frozenset(("true", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"))
_FALSE = frozenset(("false", "n", "N", "no", "No", "NO", "off", "Off", "OFF"))
_LARGEST = 2**63


def is_reference(node: Node) -> bool:
    """Return whether a text is a single reference, which can have a value of any type."""
    return node.kind == "string" and REFERENCE.fullmatch(node.text) is not None


def normalise(node: Node, shape: Shape, warn: Report, path: Path = ()) -> Node | None:
    """Return a value converted to its shape, such as a text to a number.

    Leaves out entries that do not fit, with a warning; returns None if the value itself does not fit.
    """
    if isinstance(shape, Fields | MapOf | ListOf) and (node.kind == "nil" or is_reference(node)):
        return node
    match shape:
        case Fields():
            return _fields(node, shape, warn, path)
        case MapOf(value):
            return _map(node, value, warn, path)
        case ListOf(item):
            return _list(node, item, warn, path)
        case Text():
            return _text(node, warn, path)
        case Boolean():
            return _boolean(node, warn, path)
        case Integer():
            return _integer(node, warn, path)
        case Float():
            return _float(node, warn, path)
        case _:
            return node


def _mismatch(expected: str, node: Node, warn: Report, path: Path) -> Node | None:
    what = f"expected {expected}, found {node.kind}"
    if node.kind == "nil":
        what = f"expected a {expected} value, found null"
    warn(Problem(what, path_text(path), node.positions[:1]))
    return None


def _fields(node: Node, shape: Fields, warn: Report, path: Path) -> Node | None:
    if node.kind != "map":
        return _mismatch("map", node, warn, path)
    kept: dict[str, Node] = {}
    for name, value in node.children.items():
        if name not in shape.shapes:
            if not is_anchored(value):
                warn(Problem(f"unknown field: {name}", path_text(path), value.key_positions))
            continue
        below = normalise(value, shape.shapes[name], warn, (*path, name))
        if below is not None:
            kept[name] = below
    return node.with_data(kept)


def without_zero_values(node: Node, shape: Shape) -> Node:
    """Return a value without the zero values of fields that the CLI's Go types drop.

    An empty text, 0, false and null stay only in mappings with any names, in lists, and where the type sends them
    (`Fields.sends_zeros`). So a target's zero value does not override the bundle's value.
    """
    return _without(node, shape, _is_dropped)


def _is_dropped(fields: Fields, name: str, value: Node) -> bool:
    return not (fields.sends_zeros or name in fields.required) and _is_zero(value, fields.shapes[name])


def without_added_zero_values(merged: Node, added: Node, shape: Shape) -> Node:
    """Return `merged` without the zero values that `added` brought into a value without zero values.

    Looks only at what `added` has: a bundle of many files is then read in a time that grows with their number only.
    """
    if merged.kind != added.kind:
        return without_zero_values(merged, shape)
    match shape:
        case Fields() | MapOf() if merged.kind == "map":
            kept = dict(merged.children)
            for name, value in added.children.items():
                if name in kept:
                    below = shape.value if isinstance(shape, MapOf) else shape.shapes[name]
                    kept[name] = without_added_zero_values(kept[name], value, below)
                    if isinstance(shape, Fields) and _is_dropped(shape, name, kept[name]):
                        del kept[name]
            return merged.with_data(kept)
        case ListOf(item) if merged.kind == "sequence":
            first = len(merged.items) - len(added.items)
            end = (without_zero_values(value, item) for value in merged.items[first:])
            return merged.with_data((*merged.items[:first], *end))
        case _:
            return merged


def without_empty_texts(node: Node, shape: Shape) -> Node:
    """Return a value without empty texts in optional fields, which a request would send as values."""
    return _without(
        node,
        shape,
        lambda fields, name, value: (
            value.data == "" and name not in fields.required and isinstance(fields.shapes[name], Text)
        ),
    )


def _without(node: Node, shape: Shape, is_dropped: Callable[[Fields, str, Node], bool]) -> Node:
    match shape:
        case Fields() if node.kind == "map":
            pairs = {name: _without(value, shape.shapes[name], is_dropped) for name, value in node.children.items()}
            return node.with_data({name: value for name, value in pairs.items() if not is_dropped(shape, name, value)})
        case MapOf(below) if node.kind == "map":
            return node.with_data({name: _without(value, below, is_dropped) for name, value in node.children.items()})
        case ListOf(item) if node.kind == "sequence":
            return node.with_data(tuple(_without(value, item, is_dropped) for value in node.items))
        case _:
            return node


def _is_zero(node: Node, shape: Shape) -> bool:
    if node.kind == "nil":
        return True
    if isinstance(shape, Boolean) and shape.optional:
        return False
    return isinstance(shape, Text | Integer | Float | Boolean) and node.data in ("", 0, False)


def is_anchored(node: Node) -> bool:
    """Return whether a value is a block for aliases: it has an anchor, or all its entries are such blocks."""
    below = [*node.children.values(), *node.items]
    return node.anchored or (bool(below) and all(map(is_anchored, below)))


def _map(node: Node, shape: Shape, warn: Report, path: Path) -> Node | None:
    if node.kind != "map":
        return _mismatch("map", node, warn, path)
    pairs = {name: normalise(value, shape, warn, (*path, name)) for name, value in node.children.items()}
    return node.with_data({name: value for name, value in pairs.items() if value is not None})


def _list(node: Node, shape: Shape, warn: Report, path: Path) -> Node | None:
    if node.kind != "sequence":
        return _mismatch("sequence", node, warn, path)
    kept: list[Node] = []
    for item in node.items:
        value = normalise(item, shape, warn, (*path, len(kept)))
        if value is not None and value.kind == "nil":
            raise refuse("an empty list entry", "fill it or remove it", at=(*path, len(kept)), positions=item.positions)
        if value is not None:
            kept.append(value)
    return node.with_data(tuple(kept))


def _text(node: Node, warn: Report, path: Path) -> Node | None:
    match node.data:
        case bool():
            return node.with_data(str(node.data).lower())
        case int():
            return node.with_data(str(node.data))
        case float():
            return node.with_data(go_number(node.data))
        case str():
            return node.with_data(str(node.data))
        case _:
            return _mismatch("string", node, warn, path)


def go_number(value: float) -> str:
    """Return a number as the CLI inserts it into a text: without exponent and without a zero fraction."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _boolean(node: Node, warn: Report, path: Path) -> Node | None:
    if node.kind == "bool" or is_reference(node):
        return node
    if node.kind == "string" and node.text in _TRUE | _FALSE:
        return node.with_data(node.text in _TRUE)
    return _mismatch("bool", node, warn, path)


def _integer(node: Node, warn: Report, path: Path) -> Node | None:
    if node.kind == "int" or is_reference(node):
        return node
    if isinstance(node.data, float):
        if node.data.is_integer() and abs(node.data) < _LARGEST:
            return node.with_data(int(node.data))
        what = f'cannot accurately represent "{node.data:g}" as integer due to precision loss'
    elif node.kind == "string":
        if re.fullmatch(r"[-+]?[0-9]{1,19}", node.text, re.ASCII) and -_LARGEST <= int(node.text) < _LARGEST:
            return node.with_data(int(node.text))
        what = f"cannot parse {quoted(node.text)} as an integer"
    else:
        return _mismatch("int", node, warn, path)
    warn(Problem(what, path_text(path), node.positions[:1]))
    return None


def _float(node: Node, warn: Report, path: Path) -> Node | None:
    if node.kind == "float" or is_reference(node):
        return node
    if isinstance(node.data, int) and node.kind == "int":
        return node.with_data(float(node.data))
    if node.kind != "string":
        return _mismatch("float", node, warn, path)
    try:
        return node.with_data(float(node.text))
    except ValueError:
        what = f"cannot parse {quoted(node.text)} as a floating point number"
        warn(Problem(what, path_text(path), node.positions[:1]))
        return None


def quoted(text: str) -> str:
    """Return a text in quotes, with control characters escaped."""
    return json.dumps(text, ensure_ascii=False)


def missing(node: Node, shape: Shape, path: Path = ()) -> list[Problem]:
    """Return a problem for every required field that is not set, in the CLI's order."""
    found: list[Problem] = []
    for at, value, inner in _walk(node, shape, path):
        # A null counts as an empty mapping.
        if isinstance(inner, Fields) and value.kind in ("map", "nil") and at:
            for name in inner.required:
                if name not in value.children:
                    found.append(Problem(f"required field {quoted(name)} is not set", path_text(at), value.positions))
    return sorted(found, key=_cli_order)


def wrong_values(node: Node, shape: Shape, path: Path = ()) -> list[Problem]:
    """Return a problem for every invalid enum value, in the CLI's order."""
    found: list[Problem] = []
    for at, value, inner in _walk(node, shape, path):
        known = inner.values if isinstance(inner, Text) else ()
        if known and value.kind == "string" and value.text not in known and not REFERENCE.search(value.text):
            what = f"invalid value {quoted(value.text)} for enum field. Valid values are [{' '.join(known)}]"
            found.append(Problem(what, path_text(at), value.positions))
    return sorted(found, key=_cli_order)


def wrong_types(node: Node, shape: Shape, path: Path = ()) -> list[Problem]:
    """Return a problem for every other value in place of a mapping or a list, such as a reference that remains."""
    found: list[Problem] = []
    for at, value, inner in _walk(node, shape, path):
        expected = "sequence" if isinstance(inner, ListOf) else "map"
        if isinstance(inner, Fields | MapOf | ListOf) and value.kind not in (expected, "nil"):
            what = f"expected {expected}, found {value.text if is_reference(value) else value.kind}"
            found.append(Problem(what, path_text(at), value.positions[:1], remedy="write the value"))
    return found


def _cli_order(problem: Problem) -> tuple[str, str, str]:
    return problem.summary, str(problem.positions), problem.path


def _walk(node: Node, shape: Shape, path: Path) -> list[tuple[Path, Node, Shape]]:
    found: list[tuple[Path, Node, Shape]] = [(path, node, shape)]
    match shape:
        case Fields():
            for name, value in node.children.items():
                # The output of a newer CLI may have other fields.
                found += _walk(value, shape.shapes.get(name, AnyValue()), (*path, name))
        case MapOf(below):
            for name, value in node.children.items():
                found += _walk(value, below, (*path, name))
        case ListOf(item):
            for at, value in enumerate(node.items):
                found += _walk(value, item, (*path, at))
        case _:
            pass
    return found
