"""YAML with the line number of every value, for messages."""

import pathlib
from dataclasses import dataclass, field

import yaml

from sensor_streams.errors import ConfigurationError, FleetError

Path = tuple[int | str, ...]


@dataclass
class Marked:
    """Content of a YAML text, and the line on which each value begins; `name` is the file's name in messages."""

    name: str
    content: object = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, where: Path) -> int:
        """Return the line of a value, or of its nearest parent that has one."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)

    def at(self, where: Path) -> str:
        """Return file, line and field of a value, as messages name them."""
        return f"{self.name} line {self.line(where)}, {'.'.join(map(str, where)) or 'the whole file'}"


def load_marked(text: str, name: str) -> Marked:
    """Read YAML. Raises FleetError, with the lines, for a syntax error, an invalid value or a duplicate key."""
    marked = Marked(name)
    problems: list[str] = []
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return marked
        _mark(loader, node, (), marked, problems)
        if not problems:
            content = loader.construct_document(node)
            marked.content = {} if content is None else content
    except (yaml.YAMLError, ValueError) as error:
        raise FleetError(_not_yaml(name, error)) from None
    if problems:
        raise FleetError("\n".join(problems))
    return marked


def text_of(file: pathlib.Path, advice: str, error_class: type[ConfigurationError] = ConfigurationError) -> str:
    """Read a UTF-8 file. Raises `error_class`, in one line; it gives the advice when the file cannot be read."""
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise error_class(f"{file}: cannot be read ({error.strerror}): {advice}") from None
    except UnicodeDecodeError:
        raise error_class(f"{file}: is not UTF-8 text: save it as UTF-8") from None


def load_names(file: pathlib.Path, advice: str) -> dict[str, object]:
    """Read the `name: value` lines of a YAML file.

    Raises ConfigurationError, in one line, for a file that cannot be read (with the advice), is not
    UTF-8 or YAML, or contains something else.
    """
    text = text_of(file, advice)
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigurationError(_not_yaml(str(file), error)) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"{file}: contains a {type(content).__name__}: write one `name: value` a line")
    return {str(name): value for name, value in content.items()}


def _not_yaml(name: str, error: yaml.YAMLError | ValueError) -> str:
    """Return one line. YAML's own types raise ValueError, such as a date with a month 13."""
    if isinstance(error, yaml.MarkedYAMLError):
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return f"{name} line {line}: not valid YAML: {error.problem}"
    return f"{name}: not valid YAML: {' '.join(str(error).split())}"


def _mark(loader: yaml.SafeLoader, node: yaml.Node, where: Path, marked: Marked, problems: list[str]) -> None:
    """Note the line of a value and of all values below it; add duplicate keys and invalid values to `problems`."""
    marked.lines.setdefault(where, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*where, str(key.value))
            duplicate = below in marked.lines
            marked.lines[below] = key.start_mark.line + 1
            if duplicate:
                problems.append(f"{marked.at(below)}: is a duplicate key: remove one")
            _mark(loader, value, below, marked, problems)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _mark(loader, value, (*where, index), marked, problems)
    else:
        try:
            loader.construct_object(node)
        except ValueError as error:
            # Such as a date with a month 13.
            problems.append(f"{marked.at(where)}: {node.value!r} is not a valid value: {error}")
