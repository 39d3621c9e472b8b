"""Errors of Spark that are about this machine or its files, and not about our code: each in one line."""

import re

from sensor_streams.errors import MachineError, SensorStreamsError, TableError

_DISK_FULL = "No space left on device"
_UNREADABLE = re.compile(r"\[FAILED_READ_FILE\.(?P<why>\w+)\] .*? reading file (?P<file>.+?)\.(?: |$)", re.MULTILINE)


def broken(error: Exception) -> SensorStreamsError | None:
    """What an error of Spark says of the machine; None where it says nothing of it.

    A file that a table lists and that is gone comes as a Java error without a condition of its own, so the text is
    what there is to look at (seen with Spark 4.1.4).
    """
    text = str(error)
    if _DISK_FULL in text:
        return MachineError(f"the disk: {_DISK_FULL}")
    found = _UNREADABLE.search(text)
    if found is None:
        return None
    what = "is gone" if found["why"] == "FILE_NOT_EXIST" else "cannot be read"
    return TableError(
        f"{found['file']} {what}, and its table lists it still: bring it back from a copy; where there is none, "
        "docs/storage.md says under `A data file is lost` how its rows are computed again"
    )
