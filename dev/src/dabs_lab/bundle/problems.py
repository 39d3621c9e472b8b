"""What can be wrong with a bundle, and where: positions, problems, and the error that carries them."""

from collections.abc import Sequence
from dataclasses import dataclass

from dabs_lab.errors import ConfigurationError

# The way to a value: names of mappings and places in lists, such as ("jobs", "j", "tasks", 0, "max_retries").
Path = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Position:
    """Where a value was written: the file (relative to the bundle's folder), line and column, counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or not as it should be: what, at which value, where it stands, what to do."""

    summary: str
    path: str = ""
    positions: tuple[Position, ...] = ()
    detail: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        """In the form of the CLI: what, then `at` the value, then `in` the files."""
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
        """For an error: where, what, what to do."""
        where = ", ".join(map(str, self.positions))
        text = ": ".join(part for part in (where, self.path, self.summary, self.remedy) if part)
        return f"{text}\n{self.detail}" if self.detail else text


class BundleError(ConfigurationError):
    """A bundle cannot be read, or not without guessing; the message says where, what, and what to do."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(problem.message for problem in problems))
        self.problems = tuple(problems)


def path_text(path: Path) -> str:
    """A path as the CLI writes it: `resources.jobs.j.tasks[0].max_retries`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def refuse(
    summary: str, remedy: str = "", *, at: Path = (), positions: Sequence[Position] = (), detail: str = ""
) -> BundleError:
    """An error of one problem, to be raised."""
    return BundleError([Problem(summary, path_text(at), tuple(positions), detail, remedy)])
