"""Declarations of shapes and incidents, and what a project must provide for a cell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dabs_lab.lab.results import IncidentText, ShapeText

if TYPE_CHECKING:
    from dabs_lab.lab.scene import Scene


@dataclass(frozen=True)
class Shape:
    """A form of the job. jobs: keys of its jobs in the bundle, started together.

    bounded: its tasks end when their input is drained, so a stream without a query may be at rest.
    """

    text: ShapeText
    jobs: tuple[str, ...]
    bounded: bool = False

    @property
    def id(self) -> str:
        """Id of the shape."""
        return self.text.id


@dataclass(frozen=True)
class Incident:
    """An incident: what goes wrong, from outside where the real cause is outside.

    script: lands input, injects the fault, and marks both. repair: what a person does if the job does not recover by
    itself. needs_repair: it never does, so the person acts soon. warm: the script begins when the first input is in all
    tables; otherwise at the start of the job, so that the fault hits the first batches. not_shown: returns a reason for
    shapes in which this machine cannot show it. known_after: seconds from the first dead or stuck moment of a stream
    until the process can know of it. stuck_after: seconds that a batch may take, if only a longer batch shows that a
    stream is stuck. undetectable: why no process can know of the fault; then detection is not a promise.
    """

    text: IncidentText
    script: "Callable[[Scene], None]"
    repair: "Callable[[Scene], None] | None" = None
    needs_repair: bool = False
    warm: bool = True
    not_shown: Callable[[Shape], str] = lambda _: ""
    known_after: float = 0.0
    stuck_after: float = 0.0
    undetectable: str = ""

    @property
    def id(self) -> str:
        """Id of the incident."""
        return self.text.id


@dataclass(frozen=True)
class StreamPlace:
    """A stream, and the folder of its checkpoint (with `offsets` and `commits`)."""

    name: str
    checkpoint: Path


@dataclass(frozen=True)
class Loss:
    """Rows of all tables against those of a run without faults. unaccounted: lines of input in no table."""

    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    alerts_wrong: int = 0
    unaccounted: int = 0
    # Table → rows that are lost, repeated or wrong, for tables that differ.
    by_table: Mapping[str, int] = field(default_factory=dict)


class Stage(Protocol):
    """Everything of one cell on this machine: a bundle's folder, its local.yml, its data, and the truth about them."""

    @property
    def folder(self) -> Path:
        """Folder of the bundle, in which the jobs' processes run."""

    @property
    def streams(self) -> Sequence[StreamPlace]:
        """Streams of the shape's jobs."""

    @property
    def seed(self) -> int:
        """Seed of the data, and of the moments of faults."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables of the jobs' processes, in addition to those of this process."""

    def words(self, job: str) -> Sequence[str]:
        """Return the words of the command that runs a job, after `python -m`."""

    def land(self) -> int:
        """Let the next set of input files arrive; return its number of lines."""

    def complete(self) -> bool:
        """Return True when all tables have the rows of everything that has landed."""

    def loss(self) -> Loss:
        """Compare all tables with those of a run without faults."""


class Project(Protocol):
    """Shapes, incidents and stages of a project."""

    @property
    def shapes(self) -> Sequence[Shape]:
        """Shapes, in the order of the report."""

    @property
    def incidents(self) -> Sequence[Incident]:
        """Incidents, in the order of the report."""

    def open(self, shape: Shape, seed: int) -> Stage:
        """Return a new stage. It replaces the one before."""
