"""The errors of sensor-streams: one root, one child per thing that can be wrong."""

import time
from typing import ClassVar

# How a command ends that was asked to stop: 128 and the number of SIGINT, as shells have it.
INTERRUPTED = 130


class SensorStreamsError(Exception):
    """Root of all errors that a user can do something about: the message says what, where, and what to do."""

    # How a command ends with it: 1 it failed, 2 wrong usage, 3 the machine, 130 it was asked to stop.
    exit_code: ClassVar[int] = 1


class ConfigurationError(SensorStreamsError):
    """A setting, an option or a configuration file is wrong."""

    exit_code = 2


class FleetError(ConfigurationError):
    """`sensors.yml` is wrong; the message names line and field."""


class MachineError(SensorStreamsError):
    """The machine lacks something that is needed (Java, a jar, a folder that can be written)."""

    exit_code = 3


class InputError(SensorStreamsError):
    """Input data cannot be used as a whole (one bad line is not an error: it is rejected and kept)."""


class TableError(SensorStreamsError):
    """A table is missing, has another schema, or is not where it should be."""


class SchemaConflictError(TableError):
    """A table's column has another type than the configuration asks for; both types are named."""


class BindingError(TableError):
    """A stream's checkpoint belongs to other tables than those that its names lead to today."""


class FleetChangedError(TableError):
    """Tables were computed with other settings of sensors.yml; the message names each and the command."""

    # The command that the message gives, without its options.
    COMMAND = "sensor-streams rebuild --changed"


class PreflightError(TableError):
    """What a task's streams are bound to would lose data or fail; the message names each finding and what to do."""


class CheckpointInUseError(SensorStreamsError):
    """Another run holds the checkpoint; the message names run, attempt and since when."""


class LeaseLostError(SensorStreamsError):
    """Another attempt took over the checkpoint while this one was running."""


class ModelError(SensorStreamsError):
    """A model cannot be trained, found, loaded or applied."""


class UnusableModelError(ModelError):
    """One version of a model cannot be loaded or applied; the message says why."""


class NoModelError(ModelError):
    """No version of a model can score: its stream waits and keeps its input."""


class StreamFailedError(SensorStreamsError):
    """One or more streams of a task ended that should not have; all failures are listed."""

    def __init__(self, message: str, failures: "tuple[StreamFailure, ...]" = ()) -> None:
        super().__init__(message)
        self.failures = failures


class StreamFailure:
    """What is known of one stream's end: stream, batch, error class, cause."""

    def __init__(self, stream: str, batch: int | None, error_class: str, cause: str) -> None:
        self.stream = stream
        self.batch = batch
        self.error_class = error_class
        self.cause = cause
        # When it was seen, by the monotonic clock: of several failures the first one is the cause of the others.
        self.at = time.monotonic()

    def __str__(self) -> str:
        batch = "before its first batch" if self.batch is None else f"batch {self.batch}"
        return f"stream {self.stream}, {batch}: {self.error_class}: {self.cause}"
