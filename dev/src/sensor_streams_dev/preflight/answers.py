"""Read the answers of a workspace, and explain failures."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import requests

Answer = TypeVar("Answer")
Record = Mapping[str, Any]

_LOOKS_SECRET = re.compile(r"\b(dapi[0-9a-f]{8,}\S*|eyJ[\w-]{8,}[\w.-]*|Bearer\s+\S+)", re.IGNORECASE)
_LONGEST = 200
# The open-source Unity Catalog sends the code as `errorCode`, which the SDK ignores. Only this message remains.
_NOT_FOUND_OPEN_SOURCE = "The requested resource does not exist."


class NoAnswerError(Exception):
    """A response that does not answer the request. The message says why."""


def unless_missing(query: Callable[[], Answer]) -> Answer | None:
    """Return the answer to a query; None if the workspace answers that the object does not exist."""
    from databricks.sdk.errors import NotFound

    try:
        return query()
    except NotFound as error:
        # A 404 without such a code comes from a wrong address or a proxy.
        code = str(error.error_code or "")
        missing = code.endswith("_DOES_NOT_EXIST") and code != "METASTORE_DOES_NOT_EXIST"
        if missing or (not code and str(error) == _NOT_FOUND_OPEN_SOURCE):
            return None
        raise


def reason(error: BaseException) -> str:
    """Return the reason of a failure, in one line without addresses and secrets."""
    from databricks.sdk.errors.base import DatabricksError

    if isinstance(error, NoAnswerError):
        return str(error)
    if isinstance(error, DatabricksError):
        return _refusal(error)
    if isinstance(error, TimeoutError):
        cause = error.__cause__ or error.__context__
        return f"{error}; its last answer: {reason(cause)}" if cause is not None else str(error)
    known: Sequence[tuple[type[Exception], str]] = (
        (requests.Timeout, "it did not answer in time"),
        (requests.exceptions.ChunkedEncodingError, "its answer was cut off"),
        (requests.ConnectionError, "it cannot be reached"),
        (requests.RequestException, f"the request failed ({type(error).__name__})"),
    )
    text = f"{type(error).__name__}: {_short(str(error))}" if str(error) else type(error).__name__
    return next((text for kind, text in known if isinstance(error, kind)), text)


def _refusal(error: Exception) -> str:
    from databricks.sdk import errors

    kinds: Sequence[tuple[type[Exception], str]] = (
        (errors.Unauthenticated, "401, it does not accept the credentials"),
        (errors.PermissionDenied, "403, not allowed"),
        (errors.NotFound, "404, no such address"),
        (errors.TooManyRequests, "429, too many requests"),
        (errors.TemporarilyUnavailable, "503, not available now"),
        (errors.DeadlineExceeded, "504, it took too long"),
        (errors.InternalError, "500, internal error"),
        (errors.BadRequest, "400, it does not accept the request"),
    )
    status = next((text for kind, text in kinds if isinstance(error, kind)), "it answers with an error")
    # The SDK adds its configuration to some messages, and the whole response to those that it cannot parse.
    message = re.split(r"\.? Config: |This is likely a bug", str(error))[0].strip()
    plain = message and not message.startswith("unable to parse response")
    return f"{status}: {_short(message)}" if plain else status


def _short(message: str) -> str:
    line = _LOOKS_SECRET.sub("…", message.splitlines()[0])
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def text(record: Record, name: str, default: str | None = None) -> str:
    """Return a string field. Raises NoAnswerError for another type, or if it is missing and has no default."""
    value = record.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise NoAnswerError(f"field {name} of its answer is not a text")
    return value


def flag(record: Record, name: str) -> bool:
    """Return a boolean field; False if it is missing. Raises NoAnswerError for another type."""
    value = record.get(name, False)
    if not isinstance(value, bool):
        raise NoAnswerError(f"field {name} of its answer is not true or false")
    return value


def records_of(record: Record, name: str) -> list[Record]:
    """Return a list of objects; empty if it is missing. Raises NoAnswerError for another type."""
    value = record.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise NoAnswerError(f"field {name} of its answer is not a list of objects")
    return value
