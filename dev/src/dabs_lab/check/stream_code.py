"""Streams that the Python code of a task starts. Only literals count: the code is read, not run."""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as FilePath

from dabs_lab.check.streamless_code import starts_no_stream
from dabs_lab.check.task_sources import Source

_STARTS = ("start", "toTable", "table")
_BOUNDED, _ENDLESS = ("availableNow", "once"), ("processingTime", "continuous", "realTime")
_WAITS = ("awaitTermination", "awaitAnyTermination")


@dataclass(frozen=True)
class StreamCode:
    """Streams in a source file. is_stream False: it certainly starts none; None: it may.

    line: of the first stream. trigger: of all its streams. waits: it waits for their end. queries: their number, None
    if it is not known. checkpoints, tables: literal ones, with their lines.
    """

    name: str
    is_stream: bool | None
    line: int = 0
    trigger: str | None = None
    waits: bool = False
    queries: int | None = None
    checkpoints: tuple[tuple[str, int], ...] = ()
    tables: tuple[tuple[str, int], ...] = ()


@lru_cache(maxsize=512)
def stream_code(source: Source, folder: FilePath) -> StreamCode:
    """Return the streams that a source starts."""
    if "writeStream" not in source.text:
        return StreamCode(source.name, False if starts_no_stream(source, folder) else None)
    try:
        with warnings.catch_warnings():
            # Of a strange escape in a text: the user's code is not ours to warn about.
            warnings.simplefilter("ignore")
            tree = ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return StreamCode(source.name, None)
    return _Reader(source, tree).result()


class _Reader:
    """Reader of one syntax tree that contains `writeStream`."""

    def __init__(self, source: Source, tree: ast.Module) -> None:
        self.source, self.tree = source, tree
        self.constants = _constants(tree)
        self.nodes = list(ast.walk(tree))
        self.calls = [node for node in self.nodes if isinstance(node, ast.Call)]

    def result(self) -> StreamCode:
        writers = [node for node in self.nodes if isinstance(node, ast.Attribute) and node.attr == "writeStream"]
        if not writers:
            # In a comment or a text.
            return StreamCode(self.source.name, None)
        line = min(node.end_lineno or node.lineno for node in writers)
        return StreamCode(
            self.source.name,
            True,
            self.source.line(line),
            self._trigger(writers),
            any(self._method(call) in _WAITS and not call.args and not call.keywords for call in self.calls),
            len(writers) if set(map(id, writers)) <= set(map(id, _run_once(self.tree))) else None,
            self._values("checkpointLocation"),
            self._tables(),
        )

    @staticmethod
    def _method(call: ast.Call) -> str:
        return call.func.attr if isinstance(call.func, ast.Attribute) else ""

    def _trigger(self, writers: list[ast.Attribute]) -> str | None:
        """Return the kind of trigger that all streams have, or None."""
        complete = dict(self._chains())
        kinds = {
            self._kind(triggers[0]) if triggers else "endless" for triggers in complete.values() if len(triggers) < 2
        }
        if any(len(triggers) > 1 for triggers in complete.values()):
            return None
        if open_writers := len(writers) - len(complete):
            used = {id(call) for triggers in complete.values() for call in triggers}
            others = [call for call in self.calls if self._method(call) == "trigger" and id(call) not in used]
            kinds |= {self._kind(call) for call in others} if len(others) >= open_writers else {None}
        return kinds.pop() if len(kinds) == 1 else None

    def _chains(self) -> Iterator[tuple[int, list[ast.Call]]]:
        """Yield each `writeStream` whose chain of calls starts the query, with the triggers in the chain."""
        for call in self.calls:
            if self._method(call) not in _STARTS:
                continue
            triggers: list[ast.Call] = []
            below: ast.expr = call.func
            while isinstance(below, ast.Attribute):
                if below.attr == "writeStream":
                    yield id(below), triggers
                    break
                below = below.value
                if isinstance(below, ast.Call):
                    triggers += [below] if self._method(below) == "trigger" else []
                    below = below.func

    @staticmethod
    def _kind(call: ast.Call) -> str | None:
        if call.args or len(call.keywords) != 1:
            return None
        word = call.keywords[0]
        if word.arg in _ENDLESS:
            return "endless"
        is_set = isinstance(word.value, ast.Constant) and word.value.value is True
        return "bounded" if word.arg in _BOUNDED and is_set else None

    def _values(self, option: str) -> tuple[tuple[str, int], ...]:
        """Return the literal values of an option with their lines, each value once."""
        found: dict[str, int] = {}
        for call in self.calls:
            pairs: list[tuple[ast.expr | None, int]] = []
            if self._method(call) == "option" and len(call.args) == 2 and _text(call.args[0], {}) == option:
                pairs.append((call.args[1], call.args[1].lineno))
            elif self._method(call) in ("options", *_STARTS):
                pairs += [(word.value, word.value.lineno) for word in call.keywords if word.arg == option]
            for value, line in pairs:
                text = _text(value, self.constants)
                if text:
                    found.setdefault(text, self.source.line(line))
        return tuple(found.items())

    def _tables(self) -> tuple[tuple[str, int], ...]:
        found: dict[str, int] = {}
        for call in self.calls:
            text = _text(call.args[0], self.constants) if call.args and self._method(call) == "toTable" else None
            if text:
                found.setdefault(text, self.source.line(call.args[0].lineno))
        return tuple(found.items())


def _run_once(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes outside functions, loops and branches."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.For, ast.While, ast.comprehension)
        if not isinstance(node, (*inner, ast.If, ast.ListComp, ast.GeneratorExp)):
            todo += ast.iter_child_nodes(node)


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Return the names that the file assigns once, with their values."""
    values: dict[str, list[ast.expr | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            values.setdefault(node.id, []).append(None)
        elif isinstance(node, ast.arg):
            values.setdefault(node.arg, []).extend((None, None))
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if len(values[name]) == 1:
                values[name] = [value]
    return {name: found[0] for name, found in values.items() if len(found) == 1 and found[0] is not None}


def _text(node: ast.expr | None, constants: dict[str, ast.expr], depth: int = 0) -> str | None:
    """Return the text of an expression of literals, or None."""
    if depth > 10:
        return None
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Name(id=name) if name in constants:
            return _text(constants[name], constants, depth + 1)
        case ast.JoinedStr(values=parts):
            texts = [_text(part, constants, depth + 1) for part in parts]
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return _text(value, constants, depth + 1)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            texts = [_text(left, constants, depth + 1), _text(right, constants, depth + 1)]
        case _:
            return None
    return "".join(text for text in texts if text is not None) if None not in texts else None
