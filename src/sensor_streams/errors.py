"""Errors of sensor-streams: one root class, one subclass for each kind."""

import time
from typing import ClassVar

# Exit code after SIGINT: 128 plus its number, as in shells.
INTERRUPTED = 130


class SensorStreamsError(Exception):
    """Root of all errors that a user can correct: the message says what, where, and what to do."""

    # Exit code of a command: 1 failed, 2 wrong usage, 3 the machine, 130 interrupted.
    exit_code: ClassVar[int] = 1


class ConfigurationError(SensorStreamsError):
    """A setting, an option or a configuration file is wrong."""

    exit_code = 2


class FleetError(ConfigurationError):
    """`sensors.yml` is wrong; the message names line and field."""


class MachineError(SensorStreamsError):
    """The machine misses a requirement, such as Java, a jar or a writable folder."""

    exit_code = 3


class InputError(SensorStreamsError):
    """Input data cannot be used as a whole. A single bad line is rejected and stored, not an error."""


class TableError(SensorStreamsError):
    """A table is missing, has another schema, or has the wrong location."""


class SchemaConflictError(TableError):
    """A column of a table has another type than the configuration; the message names both."""


class BindingError(TableError):
    """A stream's checkpoint belongs to other tables than its names point to now."""


class FleetChangedError(TableError):
    """Tables were computed with other settings of sensors.yml; the message names them and the command."""

    # Command in the message, without its options.
    COMMAND = "sensor-streams rebuild --changed"


class PreflightError(TableError):
    """A task would lose data or fail; the message names each finding and what to do."""


class CheckpointInUseError(SensorStreamsError):
    """Another run holds the checkpoint; the message names run, attempt and start time."""


class LeaseLostError(SensorStreamsError):
    """Another attempt took over the checkpoint while this one was running."""


class ModelError(SensorStreamsError):
    """A model cannot be trained, found, loaded or applied."""


class UnusableModelError(ModelError):
    """One version of a model cannot be loaded or applied; the message says why."""


class UnavailableModelError(UnusableModelError):
    """The files of a model version cannot be fetched now; it may be possible later."""


class NoModelError(ModelError):
    """No version of a model can score: its stream waits and keeps its input."""


class StreamFailedError(SensorStreamsError):
    """One or more streams of a task failed; the message lists all failures."""

    def __init__(self, message: str, failures: "tuple[StreamFailure, ...]" = ()) -> None:
        super().__init__(message)
        self.failures = failures


class StreamFailure:
    """Failure of one stream: stream, batch, error class, cause."""

    def __init__(self, stream: str, batch: int | None, error_class: str, cause: str) -> None:
        self.stream = stream
        self.batch = batch
        self.error_class = error_class
        self.cause = cause
        # Monotonic time of detection: the earliest of several failures usually caused the others.
        self.at = time.monotonic()

    def __str__(self) -> str:
        batch = "before its first batch" if self.batch is None else f"batch {self.batch}"
        return f"stream {self.stream}, {batch}: {self.error_class}: {self.cause}"
