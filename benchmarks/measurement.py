"""Declaration of a measurement of `make bench`: one or more rows of the table in the docs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.record import spread


@dataclass(frozen=True)
class Ratio:
    """The ratio of two quantities that were measured in turns in one run.

    name: what is divided by what. ours, other: values of each round. goal: "≤ 2" or "≥ 0.7"; empty for orientation.
    The quotients are those of each round, so a change of load harms less.
    """

    name: str
    ours: list[float]
    other: list[float]
    unit: str
    goal: str = ""

    @property
    def quotients(self) -> list[float]:
        """Return ours / other by round."""
        return [a / b for a, b in zip(self.ours, self.other, strict=True)]

    def as_json(self) -> dict[str, Any]:
        """Return the record of this ratio for `results/*.json`."""
        return {
            "name": self.name,
            "goal": self.goal,
            "unit": self.unit,
            "ours": spread(self.ours),
            "other": spread(self.other),
            "ratio": spread(self.quotients),
        }


@dataclass(frozen=True)
class Result:
    """Result of a measurement. figures: more values, shown in the docs or not. values: measured without a rival."""

    ratios: list[Ratio] = field(default_factory=list)
    values: Mapping[str, list[float]] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """A row of the benchmarks: `run(folder, rounds)` works in an empty folder of its own.

    minutes: about how long it takes on 2 cores. rounds: repetitions after the warm-up. by_default: False for one that
    runs only with `--only`.
    """

    id: str
    title: str
    minutes: int
    run: Callable[[Path, int], Result]
    rounds: int = 5
    by_default: bool = True
