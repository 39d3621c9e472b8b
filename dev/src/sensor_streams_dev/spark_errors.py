"""One-line explanations of Spark errors that the machine or a missing file causes."""

import re

from sensor_streams.errors import MachineError, SensorStreamsError, TableError

_DISK_FULL = "No space left on device"
_UNREADABLE = re.compile(r"\[FAILED_READ_FILE\.(?P<why>\w+)\] .*? reading file (?P<file>.+?)\.(?: |$)", re.MULTILINE)


def explain_spark_error(error: Exception) -> SensorStreamsError | None:
    """Return the project's error for a full disk or an unreadable data file, None for any other error.

    Spark reports a missing data file as a Java error without an error class, so its text is parsed (Spark 4.1.4).
    """
    text = str(error)
    if _DISK_FULL in text:
        return MachineError(f"the disk: {_DISK_FULL}")
    found = _UNREADABLE.search(text)
    if found is None:
        return None
    what = "is missing" if found["why"] == "FILE_NOT_EXIST" else "cannot be read"
    return TableError(
        f"{found['file']} {what}, but its table still lists it: restore it from a copy. Without a copy, compute its "
        "rows again: docs/storage.md, section `A data file is lost`"
    )
