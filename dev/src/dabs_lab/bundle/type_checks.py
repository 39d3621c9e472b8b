"""Brings values into the shape they must have, and says what does not fit, in the words of the CLI."""

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal

from dabs_lab.bundle.problems import Path, Problem, path_text, refuse
from dabs_lab.bundle.schemas import Fields, Flag, Many, Named, Real, Shape, Text, Whole
from dabs_lab.bundle.yaml_nodes import Node

_SEGMENT = r"[^\W\d_](?:[\w-]*[^\W_])?"
REFERENCE = re.compile(rf"\$\{{({_SEGMENT}(?:\.{_SEGMENT}(?:\[[0-9]+\])*)*(?:\[[0-9]+\])*)\}}")
_TRUE = frozenset(("true", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"))
_FALSE = frozenset(("false", "n", "N", "no", "No", "NO", "off", "Off", "OFF"))
_LARGEST = 2**63
Warn = Callable[[Problem], None]


def is_reference(node: Node) -> bool:
    """True for a text that is one reference and nothing else: it may stand for a value of any type."""
    return node.kind == "string" and REFERENCE.fullmatch(node.text) is not None


def normalise(node: Node, shape: Shape, warn: Warn, path: Path = ()) -> Node | None:
    """A value in its shape: texts become numbers where numbers are asked for, and the other way round.

    What does not fit is left out, with a warning; None when that is the value itself.
    """
    match shape:
        case Fields():
            return _fields(node, shape, warn, path)
        case Named(value):
            return _named(node, value, warn, path)
        case Many(item):
            return _many(node, item, warn, path)
        case Text():
            return _text(node, warn, path)
        case Flag():
            return _flag(node, warn, path)
        case Whole():
            return _whole(node, warn, path)
        case Real():
            return _real(node, warn, path)
        case _:
            return node


def _mismatch(expected: str, node: Node, warn: Warn, path: Path) -> Node | None:
    what = f"expected {expected}, found {node.kind}"
    if node.kind == "nil":
        what = f"expected a {expected} value, found null"
    warn(Problem(what, path_text(path), node.positions[:1]))
    return None


def _fields(node: Node, shape: Fields, warn: Warn, path: Path) -> Node | None:
    if node.kind == "nil" or is_reference(node):
        return node
    if node.kind != "map":
        return _mismatch("map", node, warn, path)
    kept: dict[str, Node] = {}
    for name, value in node.children.items():
        if name not in shape.shapes:
            if not is_anchored(value):
                places = (value.key,) if value.key else value.positions[:1]
                warn(Problem(f"unknown field: {name}", path_text(path), places))
            continue
        below = normalise(value, shape.shapes[name], warn, (*path, name))
        if below is not None:
            kept[name] = below
    return node.with_data(kept)


def settled(node: Node, shape: Shape) -> Node:
    """Return a value as the CLI has it after a round through its Go types: most zero values of fields are gone.

    An empty text, 0, false and null are kept only in mappings with own names, in lists, and where the type sends them
    (`Fields.sends_zeros`). So they never replace anything when a target is merged over the rest.
    """
    match shape:
        case Fields() if node.kind == "map":
            kept: dict[str, Node] = {}
            for name, value in node.children.items():
                below = settled(value, shape.shapes[name])
                if shape.sends_zeros or name in shape.needed or not _is_zero(below, shape.shapes[name]):
                    kept[name] = below
            return node.with_data(kept)
        case Named(value_shape) if node.kind == "map":
            return node.with_data({name: settled(value, value_shape) for name, value in node.children.items()})
        case Many(item) if node.kind == "sequence":
            return node.with_data(tuple(settled(one, item) for one in node.items))
        case _:
            return node


def _is_zero(node: Node, shape: Shape) -> bool:
    if node.kind == "nil":
        return True
    if isinstance(shape, Flag) and shape.optional:
        return False
    return isinstance(shape, Text | Whole | Real | Flag) and node.data in ("", 0, False)


def is_anchored(node: Node) -> bool:
    """Blocks with an anchor are there to be used elsewhere, under any name; so are lists and mappings of them."""
    below = [*node.children.values(), *node.items]
    return node.anchored or (bool(below) and all(is_anchored(one) for one in below))


def _named(node: Node, shape: Shape, warn: Warn, path: Path) -> Node | None:
    if node.kind == "nil" or is_reference(node):
        return node
    if node.kind != "map":
        return _mismatch("map", node, warn, path)
    pairs = {name: normalise(value, shape, warn, (*path, name)) for name, value in node.children.items()}
    return node.with_data({name: value for name, value in pairs.items() if value is not None})


def _many(node: Node, shape: Shape, warn: Warn, path: Path) -> Node | None:
    if node.kind == "nil" or is_reference(node):
        return node
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


def _text(node: Node, warn: Warn, path: Path) -> Node | None:
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
    """A number as the CLI writes it into a text: without exponent and without a fraction of zero."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _flag(node: Node, warn: Warn, path: Path) -> Node | None:
    if node.kind == "bool" or is_reference(node):
        return node
    if node.kind == "string" and node.text in _TRUE | _FALSE:
        return node.with_data(node.text in _TRUE)
    return _mismatch("bool", node, warn, path)


def _whole(node: Node, warn: Warn, path: Path) -> Node | None:
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


def _real(node: Node, warn: Warn, path: Path) -> Node | None:
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
    """A text in quotes, with what cannot be printed escaped."""
    return json.dumps(text, ensure_ascii=False)


def without_empty_texts(node: Node, shape: Shape) -> Node:
    """A value without the empty texts of optional fields, which would be sent as if they meant something."""
    match shape:
        case Fields():
            kept: dict[str, Node] = {}
            for name, value in node.children.items():
                below = without_empty_texts(value, shape.shapes[name])
                optional = isinstance(shape.shapes[name], Text) and name not in shape.needed
                if below.data != "" or not optional:
                    kept[name] = below
            return node.with_data(kept) if node.kind == "map" else node
        case Named(value_shape) if node.kind == "map":
            pairs = {name: without_empty_texts(value, value_shape) for name, value in node.children.items()}
            return node.with_data(pairs)
        case Many(item_shape) if node.kind == "sequence":
            return node.with_data(tuple(without_empty_texts(item, item_shape) for item in node.items))
        case _:
            return node


def missing(node: Node, shape: Shape, path: Path = ()) -> list[Problem]:
    """Every needed field that is not set, sorted as the CLI sorts."""
    found: list[Problem] = []
    for at, value, one in _walk(node, shape, path):
        # A null that was kept counts as an empty mapping.
        if isinstance(one, Fields) and value.kind in ("map", "nil") and at:
            for name in one.needed:
                if name not in value.children:
                    found.append(Problem(f"required field {quoted(name)} is not set", path_text(at), value.positions))
    return sorted(found, key=lambda one: (one.summary, str(one.positions), one.path))


def wrong_values(node: Node, shape: Shape, path: Path = ()) -> list[Problem]:
    """Every text that is none of the values it must be one of, sorted as the CLI sorts."""
    found: list[Problem] = []
    for at, value, one in _walk(node, shape, path):
        known = one.values if isinstance(one, Text) else ()
        if known and value.kind == "string" and value.text not in known and not REFERENCE.search(value.text):
            what = f"invalid value {quoted(value.text)} for enum field. Valid values are [{' '.join(known)}]"
            found.append(Problem(what, path_text(at), value.positions))
    return sorted(found, key=lambda one: (one.summary, str(one.positions), one.path))


def _walk(node: Node, shape: Shape, path: Path) -> list[tuple[Path, Node, Shape]]:
    found: list[tuple[Path, Node, Shape]] = [(path, node, shape)]
    match shape:
        case Fields():
            for name, value in node.children.items():
                found += _walk(value, shape.shapes[name], (*path, name))
        case Named(below):
            for name, value in node.children.items():
                found += _walk(value, below, (*path, name))
        case Many(item):
            for at, value in enumerate(node.items):
                found += _walk(value, item, (*path, at))
        case _:
            pass
    return found
