"""Gives every variable its value: flag over environment over override file over target over default."""

import json
from collections.abc import Mapping
from pathlib import Path as FilePath

from dabs_lab.bundle.problems import BundleError, Problem, path_text, refuse
from dabs_lab.bundle.yaml_nodes import ANY_KEY, Node, made

PREFIX = "BUNDLE_VAR_"
# What a target may write of a variable when it writes more than the value itself.
_FULL = (
    {"default", "type", "description"},
    {"default", "type"},
    {"default", "description"},
    {"lookup", "description"},
    {"default"},
    {"lookup"},
)


def spell_out_overrides(root: Node) -> Node:
    """`targets.t.variables.x: value` becomes `x: {default: value}`."""

    def full(_path: object, node: Node) -> Node:
        if node.kind in ("string", "bool", "float", "int", "sequence"):
            return Node({"default": node}, node.positions, node.key)
        if node.kind == "map" and set(node.children) not in _FULL:
            return Node({"default": node}, node.positions, node.key)
        return node

    for _, node in root.find(("targets", ANY_KEY, "variables")):
        if node.kind not in ("map", "sequence", "nil"):
            what = f"expected a map or sequence, found {node.kind}"
            raise refuse(what, "write one `name: value` a line", positions=node.positions[:1])
    return root.change(("targets", ANY_KEY, "variables", ANY_KEY), full)


def set_flags(root: Node, flags: Mapping[str, str]) -> Node:
    """The values given on the command line; each is a text.

    Raises BundleError for a variable that is not declared, or is complex.
    """
    for name, value in flags.items():
        variable = root.get("variables", name)
        if variable is None:
            places = (root.get("variables") or root).positions[:1]
            what = f"variable {name} has not been defined"
            raise refuse(what, "declare it under variables, or leave the flag out", positions=places)
        if _is_complex(variable):
            what = f"setting variables of complex type via --var flag is not supported: {name}"
            raise refuse(what, "use the target or the override file", positions=variable.positions[:1])
        root = root.put(("variables", name, "value"), Node(value))
    return root


def set_variables(root: Node, folder: FilePath, target: str, environment: Mapping[str, str]) -> Node:
    """Every variable with its value.

    A variable with a lookup gets none, unless it is given: only a workspace knows it. Raises BundleError for a variable
    without a value, a value of the wrong kind, and an override file that cannot be read.
    """
    overrides = _read_overrides(folder, target)
    for name, variable in (root.get("variables") or Node({})).children.items():
        value = _value(name, variable, overrides, environment)
        if value is not None:
            root = root.put(("variables", name, "value"), value)
    return root


def values_of(root: Node) -> dict[str, object]:
    """The values by name, plain."""
    variables = (root.get("variables") or Node({})).children
    return {name: (variable.get("value") or Node(None)).plain() for name, variable in variables.items()}


def _is_complex(variable: Node) -> bool:
    return variable.text_at("type") == "complex"


def _filled(node: Node | None) -> Node | None:
    return None if node is None or node.kind == "nil" else node


def _value(name: str, variable: Node, overrides: Mapping[str, object], environment: Mapping[str, str]) -> Node | None:
    """Return the value of a variable; None for one that only a workspace can look up."""
    given = _filled(variable.get("value"))
    if given is not None:
        return given
    if PREFIX + name in environment:
        if _is_complex(variable):
            how = f"setting via environment variables ({PREFIX}{name})"
            what = f"{how} is not supported for complex variable {name}"
            raise refuse(what, "use the target or the override file", positions=variable.positions[:1])
        return Node(environment[PREFIX + name])
    if _filled(variable.get("lookup")) is not None:
        return None
    override = overrides.get(name)
    if override is not None:
        held = isinstance(override, dict | list)
        if held != _is_complex(variable):
            kind = ("is of", "not") if _is_complex(variable) else ("is not of", "")
            value = f"the value in the variable file is {kind[1]} a complex type".replace("  ", " ")
            what = f"variable {name} {kind[0]} type complex, but {value}"
            raise refuse(what, "make both the same", positions=variable.positions[:1])
        return made(override)
    default = _filled(variable.get("default"))
    if default is not None:
        return default
    what = (
        f"no value assigned to required variable {name}. Variables are usually assigned in databricks.yml, and they"
        f' can be overridden using "--var", the {PREFIX}{name} environment variable, or'
        " .databricks/bundle/<target>/variable-overrides.json"
    )
    places = (variable.key,) if variable.key else variable.positions[:1]
    raise BundleError([Problem(what, path_text(("variables", name)), places)])


def _read_overrides(folder: FilePath, target: str) -> Mapping[str, object]:
    name = f".databricks/bundle/{target}/variable-overrides.json"
    file = folder / name
    if not file.exists():
        return {}
    remedy = 'write a JSON object: {"var1": "value1", "var2": "value2"}'
    try:
        values = json.loads(file.read_bytes().decode("utf-8"))
    except OSError as error:
        raise refuse(f"{name}: cannot be read ({error.strerror})", "make it a readable file") from None
    except UnicodeDecodeError:
        raise refuse(f"{name}:1: is not UTF-8 text", "save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise refuse(f"{name}:{error.lineno}: failed to parse variables file: {error.msg}", remedy) from None
    except RecursionError:
        raise refuse(f"{name}:1: is nested too deeply", remedy) from None
    if not isinstance(values, dict):
        raise refuse(f"{name}:1: failed to parse variables file: invalid format", remedy)
    return values
