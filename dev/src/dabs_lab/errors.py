"""Errors of dabs_lab."""

from typing import ClassVar

# Exit code of a command stopped by SIGINT: 128 plus the number of the signal, as in shells.
INTERRUPTED = 130


class DabsLabError(Exception):
    """Base of all errors that a user can fix: the message says what happened, where, and what to do."""

    # Exit code of a command: 1 it failed, 2 wrong use, 3 a problem of the machine, 130 interrupted.
    exit_code: ClassVar[int] = 1


class ConfigurationError(DabsLabError):
    """An option, `local.yml` or a file of the bundle is wrong."""

    exit_code = 2


class MachineError(DabsLabError):
    """Something is missing on this machine: Java, memory, a folder that can be written."""

    exit_code = 3
