"""Read YAML into values with positions, by the scalar rules of the CLI (its YAML library is close to YAML 1.2)."""

import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path as FilePath

import yaml

from dabs_lab.bundle.problems import Position, Problem, Report, refuse
from dabs_lab.bundle.yaml_nodes import Node, Scalar, Timestamp

_MERGE = "<<"
_UNTAGGED = "untagged"
_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*|0[0-9_]+|0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+|0[bB][01_]+)")
_UNDERSCORES = re.compile(r"[-+]?(0[xXoObB]?_?)?[0-9a-fA-F]+(_[0-9a-fA-F]+)*")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"([Tt ][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]+)?([Zz]|[-+][0-9]{2}:[0-9]{2})?)?"
)
_HALF = re.compile("[\\ud800-\\udfff]")
_WORDS: dict[str, Scalar] = {
    "": None,
    **dict.fromkeys(("~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
# The CLI rejects integers from the first limit on, and reads those from the second one on as floats.
_LARGEST, _FLOATS_FROM = 2**63, 2**64
# Limit for the values of a file with its aliases expanded: nested aliases could fill the memory.
_MOST_VALUES = 200_000


class _Loader(yaml.SafeLoader):
    """Loader that records which nodes have an anchor; PyYAML does not keep this."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        # The CLI's parser rejects this escape.
        escapes = {sign: value for sign, value in self.ESCAPE_REPLACEMENTS.items() if sign != "/"}
        setattr(self, "ESCAPE_REPLACEMENTS", escapes)  # noqa: B010
        self.anchored: set[int] = set()

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        node: yaml.Node | None = super().compose_node(parent, index)
        if getattr(event, "anchor", None) is not None and node is not None:
            self.anchored.add(id(node))
        return node


def _no_note(_: Problem) -> None:
    """Drop a note."""


def read_file(folder: FilePath, name: str, note: Report = _no_note) -> Node:
    """Return the content of a YAML or JSON file of a bundle; `name` is relative to the folder.

    note: receives what the CLI ignores silently: a second document, a duplicate key.
    Raises BundleError for a file that cannot be read, is not UTF-8, or is not YAML.
    """
    try:
        text = (folder / name).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise refuse(f"{name}: cannot be read ({error.strerror})", "check that it exists and is readable") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise refuse("is not UTF-8 text", "save it as UTF-8", positions=[Position(name, line, 1)]) from None
    return parse(text, name, note)


def parse(text: str, name: str, note: Report = _no_note) -> Node:
    """Return the first document of a YAML text; an empty text is an empty mapping.

    Raises BundleError for text that is not YAML, and for a key that is not text.
    """
    node, notes = _parsed(text, name)
    for problem in notes:
        note(problem)
    return node


@lru_cache(maxsize=256)
def _parsed(text: str, name: str) -> tuple[Node, tuple[Problem, ...]]:
    """Return the content of a file and the notes on it. Cached, because each target reads all files."""
    notes: list[Problem] = []
    try:
        loader = _Loader(text)
        if re.match(r"%YAML\s+(?!1\.1\b)", text):
            raise refuse("found incompatible YAML document", "remove %YAML", positions=[Position(name, 1, 1)])
        root = loader.get_node() if loader.check_node() else None
        if root is not None and not _at_end(loader):
            position = Position(name, _line(loader), 1)
            notes.append(Problem("the second document is ignored, as in the CLI", "", (position,)))
        converter = _Converter(name, loader.anchored, notes.append)
        node = Node({}, (Position(name, 1, 1),)) if root is None else converter.node(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = Position(name, mark.line + 1, mark.column + 1) if mark else Position(name, 1, 1)
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise refuse(f"not valid YAML: {what}", "correct it at or before this position", positions=[position]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, max(error.position, 0)) + 1
        what = f"not valid YAML: {error.reason}"
        raise refuse(what, "remove the character", positions=[Position(name, line, 1)]) from None
    except (ValueError, OverflowError):
        # PyYAML does not check the number of an escape such as "\UFFFFFFFF".
        position = Position(name, loader.line + 1, loader.column + 1)
        raise refuse(
            "not valid YAML: an escape is not the number of a character", "correct it", positions=[position]
        ) from None
    except RecursionError:
        raise refuse("is nested too deeply", "reduce the nesting", positions=[Position(name, 1, 1)]) from None
    if node.kind == "nil":
        node = node.with_data({})
    if node.kind != "map":
        raise refuse(f"expected map, found {node.kind}", "write `name: value` lines", positions=node.positions)
    return node, tuple(notes)


def _line(loader: _Loader) -> int:
    event: yaml.Event = loader.peek_event()  # type: ignore[no-untyped-call]
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def _at_end(loader: _Loader) -> bool:
    """Return whether no second document follows; the CLI parses only the first."""
    try:
        return not loader.check_node()
    except yaml.YAMLError:
        return False


class _Converter:
    def __init__(self, name: str, anchored: set[int], note: Report) -> None:
        self._name = name
        self._note = note
        self._anchored = anchored
        self._done: dict[int, Node] = {}
        self._open: set[int] = set()
        self._sizes: dict[int, int] = {}

    def node(self, source: yaml.Node) -> Node:
        identity = id(source)
        if identity in self._done:
            return self._done[identity]
        position = self._position(source)
        if identity in self._open:
            raise refuse("cyclic reference to an anchor", "remove the alias from its own anchor", positions=[position])
        self._open.add(identity)
        if _is_tagged(source):
            raise refuse(
                f"the tag {source.tag} is not supported", "write the value without a tag", positions=[position]
            )
        result = Node(None, (position,), anchored=identity in self._anchored)
        if isinstance(source, yaml.MappingNode):
            result = result.with_data(self._mapping(source))
        elif isinstance(source, yaml.SequenceNode):
            result = result.with_data(tuple(self.node(item) for item in source.value))
        else:
            result = result.with_data(self._scalar(source, position))
        self._open.discard(identity)
        self._done[identity] = result
        self._sizes[identity] = size = 1 + sum(self._sizes.get(id(below), 0) for below in _children(source))
        if size > _MOST_VALUES:
            raise refuse("has too many values with its aliases", "use fewer aliases", positions=[position])
        return result

    def _position(self, source: yaml.Node) -> Position:
        return Position(self._name, source.start_mark.line + 1, source.start_mark.column + 1)

    def _mapping(self, source: yaml.MappingNode) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: yaml.Node | None = None
        for key, value in source.value:
            position = self._position(key)
            if not isinstance(key, yaml.ScalarNode):
                raise refuse("key is not a scalar", "use a text as key", positions=[position])
            name = _text(key, position)
            plain = key.style is None and key.tag == _UNTAGGED
            if plain and name == _MERGE:
                if merged is not None:
                    what = "duplicate YAML merge key ('<<') is not allowed"
                    raise refuse(what, "use a sequence: '<<: [*anchor1, *anchor2]'", positions=[position])
                merged = value
                # The CLI rejects an inline mapping. An alias has the index of its anchor, which comes first.
                if isinstance(value, yaml.MappingNode) and value.start_mark.index > key.start_mark.index:
                    raise refuse(_MERGE_OF_OTHER, "use an alias of a mapping", positions=[self._position(value)])
                continue
            if plain and not _is_key(name):
                raise refuse(f"invalid key: {name} is not text", "quote it", positions=[position])
            if name in own:
                first = own[name].key
                # The CLI uses the last one silently, which is most likely a mistake in the file.
                positions = (*([first] if first else []), position)
                self._note(Problem(f"duplicate key {name}: the last value is used", "", positions))
            own[name] = replace(self.node(value), key=position)
        return own if merged is None else self._merge(merged, own)

    def _merge(self, merged: yaml.Node, own: dict[str, Node]) -> dict[str, Node]:
        """Return the entries of `<<`, where later mappings override earlier ones, overridden by the own entries."""
        result: dict[str, Node] = {}
        for source in merged.value if isinstance(merged, yaml.SequenceNode) else [merged]:
            block = self.node(source)
            if block.kind != "map":
                raise refuse(_MERGE_OF_OTHER, "use an alias of a mapping", positions=[self._position(merged)])
            result |= block.children
        return result | own

    def _scalar(self, source: yaml.Node, position: Position) -> Scalar:
        text = _text(source, position)
        if not isinstance(source, yaml.ScalarNode) or source.style is not None or source.tag != _UNTAGGED:
            return text
        value = scalar(text)
        if isinstance(value, int) and not isinstance(value, bool):
            if not -_LARGEST <= value < _LARGEST:
                raise refuse(f"invalid int value: {text}", "write a smaller number", positions=[position])
            if "_" in text and not _UNDERSCORES.fullmatch(text):
                raise refuse(f"invalid int value: {text}", "use single underscores", positions=[position])
        if isinstance(value, float) and "_" in text:
            raise refuse(f"invalid float value: {text}", "remove the underscores", positions=[position])
        return value


_MERGE_OF_OTHER = "map merge requires map or sequence of maps as the value"


def _text(source: yaml.Node, position: Position) -> str:
    """Return the text of a scalar. JSON writes a character beyond 16 bits as two escapes; half of it is refused."""
    text = str(source.value)
    if not _HALF.search(text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise refuse("an escape is half a character", "write both halves, or none", positions=[position]) from None


def _is_key(name: str) -> bool:
    value = scalar(name)
    return value is None or (isinstance(value, str) and not isinstance(value, Timestamp))


def _children(source: yaml.Node) -> list[yaml.Node]:
    if isinstance(source, yaml.MappingNode):
        return [value for _, value in source.value]
    return list(source.value) if isinstance(source, yaml.SequenceNode) else []


def _is_tagged(node: yaml.Node) -> bool:
    """Return whether the file sets the tag; PyYAML sets only the tags below, see the end of this module."""
    if isinstance(node, yaml.ScalarNode):
        return node.tag not in ((_UNTAGGED, f"{_TAG}str") if node.style is None else (f"{_TAG}str",))
    return node.tag != (f"{_TAG}map" if isinstance(node, yaml.MappingNode) else f"{_TAG}seq")


def scalar(text: str) -> Scalar:
    """Return an unquoted scalar by the CLI's rules: `on` and 2026-01-01 are texts, 0777 is 777, 0x10 is 16."""
    if text in _WORDS:
        return _WORDS[text]
    if _TIMESTAMP.fullmatch(text):
        return Timestamp(text)
    bare = text.replace("_", "")
    if _INTEGER.fullmatch(text):
        try:
            value = _integer(bare)
        except ValueError:
            return text
        return value if -_LARGEST <= value < _FLOATS_FROM else float(value)
    infinity = _INFINITY.fullmatch(text)
    if infinity:
        return float(f"{infinity[1]}inf")
    if _FLOAT.fullmatch(bare) and text[:1] != "_":
        number = float(bare)
        # The CLI reads a float out of range as a text.
        return text if number in (float("inf"), -float("inf")) else number
    return text


def _integer(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    # Leading zeros do not make a number octal.
    if digits.isdigit():
        return int(digits) * sign
    return int(digits, 0) * sign


# One resolver for all plain scalars; `scalar` has the rules.
_Loader.yaml_implicit_resolvers = {None: [(_UNTAGGED, re.compile(r"(?s).*"))]}
