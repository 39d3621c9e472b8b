"""Class and cause of an error of Spark, in one line."""

import re
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException, PythonException

from sensor_streams.errors import StreamFailure, UnusableModelError

# The last line of a Python traceback: `ValueError: what is wrong`.
_RAISED = re.compile(r"^([A-Za-z_][\w.]*): ?(.*)$")
_LONGEST = 500


def describe(stream: str, batch: int | None, error: BaseException) -> StreamFailure:
    """Return the failure of a stream; its error class is Spark's condition if it has one."""
    name, cause = _class_and_cause(error)
    return StreamFailure(stream, batch, name, cause or "no message")


def fault_of_model(error: BaseException) -> str | None:
    """Return the reason if the model made its batch fail, else None."""
    name, cause = _class_and_cause(error)
    return cause if name == UnusableModelError.__name__ else None


def worker_crashed(error: BaseException) -> bool:
    """True when a Python worker process crashed: the cause may be the model or the machine."""
    return "Python worker exited unexpectedly" in str(error)


def first_line(text: str) -> str:
    """Return the first line that is not blank."""
    return next((line.strip()[:_LONGEST] for line in text.splitlines() if line.strip()), "")


def _class_and_cause(error: BaseException) -> tuple[str, str]:
    if isinstance(error, PythonException):
        return _python(str(error)) or (type(error).__name__, first_line(str(error)))
    if isinstance(error, Py4JJavaError):
        return _java(error.java_exception)
    if isinstance(error, PySparkException):
        cause = getattr(error, "_cause", None)
        condition = error.getCondition()
        # STREAM_FAILED only says that the query failed; the cause says why.
        if isinstance(cause, BaseException) and condition in (None, "STREAM_FAILED"):
            return _class_and_cause(cause)
        return condition or type(error).__name__, first_line(str(error))
    return type(error).__name__, first_line(str(error))


def _python(text: str) -> tuple[str, str] | None:
    """Return class and message of the error that a function raised in a Python worker."""
    _, traceback, rest = text.partition("Traceback (most recent call last):")
    if not traceback:
        return None
    for line in rest.splitlines()[1:]:
        found = _RAISED.match(line)
        if found:
            return found.group(1).rsplit(".", 1)[-1], found.group(2)[:_LONGEST]
    return None


def _java(exception: Any) -> tuple[str, str]:
    """Return the class of the innermost Java exception, and the innermost message that is not empty."""
    name, message = "", ""
    for _ in range(20):
        if exception is None:
            break
        name = str(exception.getClass().getSimpleName())
        message = first_line(str(exception.getMessage() or "")) or message
        exception = exception.getCause()
    return name, message
