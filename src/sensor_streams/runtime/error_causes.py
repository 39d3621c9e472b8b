"""What an error of Spark is really about: its class and cause, in one line."""

import re
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException, PythonException

from sensor_streams.errors import StreamFailure, UnusableModelError

# The last line of a Python traceback: `ValueError: what is wrong`.
_RAISED = re.compile(r"^([A-Za-z_][\w.]*): ?(.*)$")
_LONGEST = 500


def describe(stream: str, batch: int | None, error: BaseException) -> StreamFailure:
    """The failure in four parts; the class is Spark's own condition where it has one."""
    name, cause = _class_and_cause(error)
    return StreamFailure(stream, batch, name, cause or "no message")


def fault_of_model(error: BaseException) -> str | None:
    """Why a batch failed, when the model that scored it is to blame; None when it is not."""
    name, cause = _class_and_cause(error)
    return cause if name == UnusableModelError.__name__ else None


def worker_crashed(error: BaseException) -> bool:
    """True when a Python worker ended in the middle of its work: a model may have done that, or the machine."""
    return "Python worker exited unexpectedly" in str(error)


def first_line(text: str) -> str:
    """The first line that holds something."""
    return next((line.strip()[:_LONGEST] for line in text.splitlines() if line.strip()), "")


def _class_and_cause(error: BaseException) -> tuple[str, str]:
    if isinstance(error, PythonException):
        return _python(str(error)) or (type(error).__name__, first_line(str(error)))
    if isinstance(error, Py4JJavaError):
        return _java(error.java_exception)
    if isinstance(error, PySparkException):
        cause = getattr(error, "_cause", None)
        condition = error.getCondition()
        # That a query failed is known: what matters is why.
        if isinstance(cause, BaseException) and condition in (None, "STREAM_FAILED"):
            return _class_and_cause(cause)
        return condition or type(error).__name__, first_line(str(error))
    return type(error).__name__, first_line(str(error))


def _python(text: str) -> tuple[str, str] | None:
    """Class and message of the error that a function raised in a Python worker."""
    _, traceback, rest = text.partition("Traceback (most recent call last):")
    if not traceback:
        return None
    for line in rest.splitlines()[1:]:
        found = _RAISED.match(line)
        if found:
            return found.group(1).rsplit(".", 1)[-1], found.group(2)[:_LONGEST]
    return None


def _java(exception: Any) -> tuple[str, str]:
    """Class and message of the innermost Java exception that says something."""
    name, message = "", ""
    for _ in range(20):
        if exception is None:
            break
        name = str(exception.getClass().getSimpleName())
        message = first_line(str(exception.getMessage() or "")) or message
        exception = exception.getCause()
    return name, message
