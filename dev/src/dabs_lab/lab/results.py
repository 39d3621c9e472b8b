"""Results of the lab: cells of incident × shape × seed, as JSON.

All times in cells are seconds since the cell's job was started.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dabs_lab.errors import ConfigurationError

# Changes when a program that reads older results could misread newer ones.
VERSION = 1
Seconds = Annotated[float, Field(ge=0)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class State(StrEnum):
    """State of a lane between two times. The first five are what a job or a task reports."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting for a retry"
    FAILED = "failed"
    ENDED = "ended"
    # What is true: of a stream, or of all streams that should run.
    WORKING = "working"
    STUCK = "stuck"
    DEAD = "dead"


class LaneKind(StrEnum):
    """Kind of a lane, in the order from top to bottom of a timeline."""

    REPORTED = "what the UI reports"
    TRUE = "what is true"
    TASK = "task"
    STREAM = "stream"


class MarkKind(StrEnum):
    """Kind of a moment on a timeline."""

    FAULT = "fault"
    REPAIR = "repair"
    NOTIFICATION = "notification"
    RECOVERED = "recovered"


class Verdict(StrEnum):
    """Verdict of a cell or a claim."""

    HELD = "held"
    BROKEN = "broken"
    # For an incident or a claim that this machine cannot show.
    NOT_SHOWN = "not shown"
    CONFIRMED = "confirmed"
    REFUTED = "refuted"


class Bar(_Record):
    """A state of a lane from one time to another; label: such as `attempt 2`."""

    begin: Seconds
    end: Seconds
    state: State
    label: str = ""


class Lane(_Record):
    """A row of a timeline."""

    kind: LaneKind
    title: str
    bars: Sequence[Bar]


class Mark(_Record):
    """A moment on a timeline."""

    at: Seconds
    kind: MarkKind
    label: str


class Notification(_Record):
    """A notification that the platform would send; setting: the setting of the job file that sends it."""

    at: Seconds
    event: str
    setting: str
    recipients: Sequence[str]


class Damage(_Record):
    """Cost for a stream that the incident did not hit: seconds without a working query, and differing rows."""

    seconds: Seconds
    rows: int


class Figures(_Record):
    """Measurements of a cell; None: it did not happen within the observation, or does not apply."""

    # From the moment that the process can know to the first change of a state in the job.
    detection_seconds: Seconds | None = None
    # The job reports RUNNING, a stream of it is dead or stuck, and nobody has been notified.
    silent_seconds: Seconds = 0
    # Against the tables of a run without faults, after the recovery.
    rows_lost: int = 0
    rows_duplicated: int = 0
    rows_wrong: int = 0
    alerts_wrong: int = 0
    lines_unaccounted: int = 0
    # From the fault to the moment at which all tables are complete again.
    recovery_seconds: Seconds | None = None
    # What a person had to do, or empty.
    person: str = ""
    batches_repeated: int = 0
    attempts: int = 0
    runs: int = 0
    peak_mb: float = 0
    processes: int = 0
    collateral: Mapping[str, Damage] = {}
    notifications: Sequence[Notification] = ()


class Cell(_Record):
    """Result of an incident in a shape with a seed. broken: each promise that did not hold, in words."""

    incident: str
    shape: str
    seed: int
    verdict: Verdict
    broken: Sequence[str] = ()
    # Why it is not shown, or what else a reader must know.
    note: str = ""
    seconds: Seconds
    fault_at: Seconds | None = None
    figures: Figures = Figures()
    lanes: Sequence[Lane] = ()
    marks: Sequence[Mark] = ()


class ShapeText(_Record):
    """A form of the job, as the report names it."""

    id: str
    title: str
    about: str
    # False for forms that the lab runs for comparison only.
    deployable: bool = True


class IncidentText(_Record):
    """An incident, as the report names it."""

    id: str
    group: str
    title: str
    # Two sentences: what happened to whom.
    story: str
    injected: str
    must_hold: str
    # What somebody must know to read the result, such as the isolation level of a conflict.
    note: str = ""


class Evidence(_Record):
    """A cell that decides a claim, and its figure in words."""

    incident: str
    shape: str
    seed: int
    figure: str


class Claim(_Record):
    """A claim about job shapes, and what the cells say of it."""

    id: str
    claim: str
    source: str
    verdict: Verdict
    evidence: Sequence[Evidence] = ()
    note: str = ""


class Machine(_Record):
    """Machine, versions and time scale of the measurements."""

    cores: int
    memory_gb: float
    system: str
    versions: Mapping[str, str]
    # Load of the machine (1 minute) before the first cell.
    load: float
    # The platform's waiting times (retry intervals, back-off) are multiplied by this.
    time_scale: float


class Results(_Record):
    """All results of a lab."""

    version: int = VERSION
    # ISO 8601, UTC.
    made_at: str
    commit: str = ""
    machine: Machine
    shapes: Sequence[ShapeText]
    incidents: Sequence[IncidentText]
    cells: Sequence[Cell]
    claims: Sequence[Claim] = ()

    def find(self, incident: str, shape: str, seed: int | None = None) -> list[Cell]:
        """Return the cells of an incident in a shape, of one seed or of all."""
        return [
            cell
            for cell in self.cells
            if cell.incident == incident and cell.shape == shape and seed in (None, cell.seed)
        ]


def write_results(results: Results, file: Path) -> None:
    """Write results as JSON, whole or not at all."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(results.model_dump_json(indent=1), "utf-8")
    new.replace(file)


def read_results(file: Path) -> Results:
    """Read results. Raises ConfigurationError for a file that is missing or has another form."""
    try:
        return Results.model_validate_json(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{file}: {where}: {first['msg']}: make the results again") from None
