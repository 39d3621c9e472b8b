"""Positions, problems of a bundle, and the error that carries problems."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dabs_lab.errors import ConfigurationError

# Path of a value: names in mappings and indexes in lists, such as ("jobs", "j", "tasks", 0, "max_retries").
Path = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Position:
    """Place in a file: the file (relative to the bundle's folder), line and column, counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """Error, warning or note: what is wrong, at which value, in which file, and what to do."""

    summary: str
    path: str = ""
    positions: tuple[Position, ...] = ()
    detail: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        """Return the problem in the format of the CLI: summary, `at` the value, `in` the files."""
        lines = [self.summary]
        if self.path:
            lines.append(f"  at {self.path}")
        if self.positions:
            lines.append("  in " + "\n     ".join(map(str, self.positions)))
        if self.detail:
            lines += ["", self.detail]
        return "\n".join(lines)

    @property
    def message(self) -> str:
        """Return the text of an error: where, what, what to do."""
        where = ", ".join(map(str, self.positions))
        text = ": ".join(part for part in (where, self.path, self.summary, self.remedy) if part)
        return f"{text}\n{self.detail}" if self.detail else text


# Receives warnings or notes.
Report = Callable[[Problem], None]


class BundleError(ConfigurationError):
    """A bundle cannot be read; the message says where, what, and what to do."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(problem.message for problem in problems))
        self.problems = tuple(problems)


def path_text(path: Path) -> str:
    """Return a path in the CLI's notation: `resources.jobs.j.tasks[0].max_retries`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def refuse(
    summary: str, remedy: str = "", *, at: Path = (), positions: Sequence[Position] = (), detail: str = ""
) -> BundleError:
    """Return an error with one problem; the caller raises it."""
    return BundleError([Problem(summary, path_text(at), tuple(positions), detail, remedy)])


def raise_if_any(problems: Sequence[Problem]) -> None:
    """Raise one BundleError with all problems, if there are any."""
    if problems:
        raise BundleError(problems)
