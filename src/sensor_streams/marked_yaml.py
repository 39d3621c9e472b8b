"""YAML with the line of every value, so that a message can say where."""

from dataclasses import dataclass

import yaml

from sensor_streams.errors import FleetError

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
    """Read YAML. Raises FleetError for a syntax error or a key that stands twice, with its line."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FleetError(f"{name} line {line}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise FleetError(f"{name}: not valid YAML: {error}") from None
    lines: dict[Path, int] = {}
    twice: list[str] = []
    if node is not None:
        _mark(node, (), lines, twice, name)
    if twice:
        raise FleetError("\n".join(twice))
    return Marked({} if content is None else content, lines)


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
