"""Set the value of every variable. Precedence: flag, environment, override file, target, default."""

import json
from collections.abc import Mapping
from pathlib import Path as FilePath

from dabs_lab.bundle.file_paths import exists
from dabs_lab.bundle.problems import refuse
from dabs_lab.bundle.yaml_nodes import ANY_KEY, Node, to_node

PREFIX = "BUNDLE_VAR_"
# Sets of fields that make a target's mapping a definition of a variable, not its value.
_DEFINITIONS = (
    {"default", "type", "description"},
    {"default", "type"},
    {"default", "description"},
    {"lookup", "description"},
    {"default"},
    {"lookup"},
)


def expand_overrides(root: Node) -> Node:
    """Expand `targets.t.variables.x: value` to `x: {default: value}`. Raises BundleError for a wrong type."""

    def expand(_path: object, node: Node) -> Node:
        is_value = node.kind in ("string", "bool", "float", "int", "sequence")
        if is_value or (node.kind == "map" and set(node.children) not in _DEFINITIONS):
            return Node({"default": node}, node.positions, node.key)
        return node

    for _, node in root.find(("targets", ANY_KEY, "variables")):
        if node.kind not in ("map", "sequence", "nil"):
            what = f"expected a map or sequence, found {node.kind}"
            raise refuse(what, "write `name: value` lines", positions=node.positions[:1])
    return root.change(("targets", ANY_KEY, "variables", ANY_KEY), expand)


def set_flags(root: Node, flags: Mapping[str, str]) -> Node:
    """Set the values from the command line, which are texts.

    Raises BundleError for a variable that is not declared, or is complex.
    """
    for name, value in flags.items():
        variable = root.get("variables", name)
        if variable is None:
            positions = (root.get("variables") or root).positions[:1]
            what = f"variable {name} has not been defined"
            raise refuse(what, "declare it under variables, or remove the flag", positions=positions)
        if _is_complex(variable):
            what = f"setting variables of complex type via --var flag is not supported: {name}"
            raise refuse(what, "use the target or the override file", positions=variable.positions[:1])
        root = root.put(("variables", name, "value"), Node(value))
    return root


def set_variables(root: Node, folder: FilePath, target: str, environment: Mapping[str, str]) -> Node:
    """Set the value of every variable. A variable with a lookup gets none, unless a flag or the environment sets it.

    Raises BundleError for a variable without a value, a value of the wrong kind, and an unreadable override file.
    """
    overrides = _read_overrides(folder, target)
    for name, variable in (root.get("variables") or Node({})).children.items():
        value = _value(name, variable, overrides, environment)
        if value is not None:
            root = root.put(("variables", name, "value"), value)
    return root


def unset_variables(
    root: Node, folder: FilePath, target: str, environment: Mapping[str, str], *, complex: bool = False
) -> list[str]:
    """Return the variables without a value for a target: the simple ones, or the complex ones.

    root: all files merged, with all targets. Raises BundleError for an override file that cannot be read.
    """
    given = {*_read_overrides(folder, target), *(name.removeprefix(PREFIX) for name in environment)}
    found = []
    for name, variable in (root.get("variables") or Node({})).children.items():
        sources = (variable, root.get("targets", target, "variables", name) or Node({}))
        filled = any(source.get_filled(field) is not None for source in sources for field in ("default", "lookup"))
        if name not in given and not filled and _is_complex(variable) is complex:
            found.append(name)
    return found


def leave_open(root: Node, folder: FilePath, target: str, environment: Mapping[str, str]) -> Node:
    """Return the bundle in which complex variables without a value keep their references, like those with a lookup."""
    for name in unset_variables(root, folder, target, environment, complex=True):
        root = root.put(("variables", name, "lookup"), to_node({"variable": name}))
    return root


def values_of(root: Node) -> dict[str, object]:
    """Return the values by name, as plain Python."""
    variables = (root.get("variables") or Node({})).children
    return {name: (variable.get("value") or Node(None)).plain() for name, variable in variables.items()}


def _is_complex(variable: Node) -> bool:
    return variable.text_at("type") == "complex"


def _value(name: str, variable: Node, overrides: Mapping[str, object], environment: Mapping[str, str]) -> Node | None:
    """Return the value of a variable; None if only its lookup in a workspace gives one."""
    given = variable.get_filled("value")
    if given is not None:
        return given
    if PREFIX + name in environment:
        if _is_complex(variable):
            how = f"setting via environment variables ({PREFIX}{name})"
            what = f"{how} is not supported for complex variable {name}"
            raise refuse(what, "use the target or the override file", positions=variable.positions[:1])
        return Node(environment[PREFIX + name])
    if variable.get_filled("lookup") is not None:
        return None
    override = overrides.get(name)
    if override is not None:
        if isinstance(override, dict | list) != _is_complex(variable):
            kind = ("is of", "not") if _is_complex(variable) else ("is not of", "")
            value = f"the value in the variable file is {kind[1]} a complex type".replace("  ", " ")
            what = f"variable {name} {kind[0]} type complex, but {value}"
            raise refuse(what, "make both complex, or neither", positions=variable.positions[:1])
        return to_node(override)
    default = variable.get_filled("default")
    if default is not None:
        return default
    what = (
        f"no value assigned to required variable {name}. Variables are usually assigned in databricks.yml, and they"
        f' can be overridden using "--var", the {PREFIX}{name} environment variable, or'
        " .databricks/bundle/<target>/variable-overrides.json"
    )
    raise refuse(what, at=("variables", name), positions=variable.key_positions)


def _read_overrides(folder: FilePath, target: str) -> Mapping[str, object]:
    name = f".databricks/bundle/{target}/variable-overrides.json"
    file = folder / name
    if not exists(file):
        return {}
    remedy = 'write a JSON object: {"var1": "value1", "var2": "value2"}'
    try:
        values = json.loads(file.read_bytes().decode("utf-8"))
    except OSError as error:
        raise refuse(f"{name}: cannot be read ({error.strerror})", "check that it is a readable file") from None
    except UnicodeDecodeError:
        raise refuse(f"{name}:1: is not UTF-8 text", "save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise refuse(f"{name}:{error.lineno}: failed to parse variables file: {error.msg}", remedy) from None
    except RecursionError:
        raise refuse(f"{name}:1: is nested too deeply", remedy) from None
    if not isinstance(values, dict):
        raise refuse(f"{name}:1: failed to parse variables file: invalid format", remedy)
    return values
