"""YAML with the line of every value, so that a message can say where."""

import pathlib
from dataclasses import dataclass

import yaml

from sensor_streams.errors import ConfigurationError, FleetError

Path = tuple[int | str, ...]


@dataclass(frozen=True)
class Marked:
    """What a YAML text holds, and the line on which each value begins."""

    content: object
    lines: dict[Path, int]

    def line(self, where: Path) -> int:
        """The line of a value, or of the nearest thing around it that is there."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)


def load_marked(text: str, name: str) -> Marked:
    """Read YAML. Raises FleetError for a syntax error, a value that is none, or a key that stands twice, with line."""
    node: yaml.Node | None = None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        wrong = [] if node is None or isinstance(error, yaml.YAMLError) else _wrong_values(node, (), name)
        raise FleetError("\n".join(wrong) or _not_yaml(name, error)) from None
    lines: dict[Path, int] = {}
    twice: list[str] = []
    if node is not None:
        _mark(node, (), lines, twice, name)
    if twice:
        raise FleetError("\n".join(twice))
    return Marked({} if content is None else content, lines)


def text_of(file: pathlib.Path, otherwise: str, wrong: type[ConfigurationError] = ConfigurationError) -> str:
    """The text of a file; `otherwise` says what to do when it cannot be read. Raises `wrong`, in one line."""
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise wrong(f"{file}: cannot be read ({error.strerror}): {otherwise}") from None
    except UnicodeDecodeError:
        raise wrong(f"{file}: is not UTF-8 text: save it as UTF-8") from None


def load_names(file: pathlib.Path, otherwise: str) -> dict[str, object]:
    """The `name: value` lines of a YAML file; `otherwise` says what to do when it cannot be read.

    Raises ConfigurationError, in one line, for a file that is not there, no UTF-8, no YAML, or no such lines.
    """
    text = text_of(file, otherwise)
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigurationError(_not_yaml(str(file), error)) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"{file}: holds {type(content).__name__}: write one `name: value` a line")
    return {str(name): value for name, value in content.items()}


def _not_yaml(name: str, error: yaml.YAMLError | ValueError) -> str:
    """One line; a ValueError is what YAML's own types raise, such as a date with a month 13."""
    if isinstance(error, yaml.MarkedYAMLError):
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return f"{name} line {line}: not valid YAML: {error.problem}"
    return f"{name}: not valid YAML: {' '.join(str(error).split())}"


def _wrong_values(node: yaml.Node, where: Path, name: str) -> list[str]:
    """Values that have the form of one of YAML's types and are none, such as a date with a month 13."""
    if isinstance(node, yaml.MappingNode):
        below = [(value, (*where, str(key.value))) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        below = [(value, (*where, at)) for at, value in enumerate(node.value)]
    else:
        try:
            yaml.SafeLoader("").construct_object(node)
        except ValueError as error:
            line, field = node.start_mark.line + 1, ".".join(map(str, where)) or "the whole file"
            return [f"{name} line {line}, {field}: {node.value!r} is no value: {error}"]
        return []
    return [message for value, path in below for message in _wrong_values(value, path, name)]


def _mark(node: yaml.Node, where: Path, lines: dict[Path, int], twice: list[str], name: str) -> None:
    lines.setdefault(where, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*where, str(key.value))
            line = key.start_mark.line + 1
            if below in lines:
                twice.append(f"{name} line {line}, {'.'.join(map(str, below))}: stands twice: remove one")
            lines[below] = line
            _mark(value, below, lines, twice, name)
    elif isinstance(node, yaml.SequenceNode):
        for at, value in enumerate(node.value):
            _mark(value, (*where, at), lines, twice, name)
