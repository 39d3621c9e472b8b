"""Answers of a workspace: what stands in them, and why one is none."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import requests

Answer = TypeVar("Answer")
Record = Mapping[str, Any]

_LOOKS_SECRET = re.compile(r"\b(dapi[0-9a-f]{8,}\S*|eyJ[\w-]{8,}[\w.-]*|Bearer\s+\S+)", re.IGNORECASE)
_LONGEST = 200
# Servers of the open Unity Catalog spell the code `errorCode`, which the SDK does not read. This is left of it.
_OF_OPEN_SERVERS = "The requested resource does not exist."


class NoAnswerError(Exception):
    """What came back is no answer to what was asked; the message says in what way."""


def unless_missing(question: Callable[[], Answer]) -> Answer | None:
    """What the question gives; None when the workspace answers that there is no such object."""
    from databricks.sdk.errors import NotFound

    try:
        return question()
    except NotFound as error:
        # A 404 without such a code says that nothing answers at this address, not that there is no such table.
        code = str(error.error_code or "")
        none = code.endswith("_DOES_NOT_EXIST") and code != "METASTORE_DOES_NOT_EXIST"
        if none or (not code and str(error) == _OF_OPEN_SERVERS):
            return None
        raise


def reason(error: BaseException) -> str:
    """Why there was no answer, in one line without addresses and secrets."""
    from databricks.sdk.errors.base import DatabricksError

    if isinstance(error, NoAnswerError):
        return str(error)
    if isinstance(error, DatabricksError):
        return _refusal(error)
    if isinstance(error, TimeoutError):
        before = error.__cause__ or error.__context__
        return f"{error}; what it said last: {reason(before)}" if before is not None else str(error)
    if isinstance(error, requests.Timeout):
        return "it did not answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "its answer was cut"
    if isinstance(error, requests.ConnectionError):
        return "it cannot be reached"
    if isinstance(error, requests.RequestException):
        return f"the request failed ({type(error).__name__})"
    return f"{type(error).__name__}: {_short(str(error))}" if str(error) else type(error).__name__


def _refusal(error: Exception) -> str:
    from databricks.sdk import errors

    kinds: Sequence[tuple[type[Exception], str]] = (
        (errors.Unauthenticated, "401, it does not accept the credentials"),
        (errors.PermissionDenied, "403, not allowed"),
        (errors.NotFound, "404, nothing answers there"),
        (errors.TooManyRequests, "429, too many requests"),
        (errors.TemporarilyUnavailable, "503, not available at present"),
        (errors.DeadlineExceeded, "504, it took too long"),
        (errors.InternalError, "500, an error of its own"),
        (errors.BadRequest, "400, it does not take the request"),
    )
    told = next((words for kind, words in kinds if isinstance(error, kind)), "it answers with an error")
    # The SDK adds its configuration to some messages, and the whole exchange to those that it cannot parse.
    said = re.split(r"\.? Config: |This is likely a bug", str(error))[0].strip()
    plain = said and not said.startswith("unable to parse response")
    return f"{told}: {_short(said)}" if plain else told


def _short(said: str) -> str:
    line = _LOOKS_SECRET.sub("…", said.splitlines()[0])
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def text(record: Record, name: str, default: str | None = None) -> str:
    """A text of a record. Raises NoAnswerError when it is another thing, or is not there and has no default."""
    value = record.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise NoAnswerError(f"its answer has no text as {name}")
    return value


def flag(record: Record, name: str) -> bool:
    """A truth of a record, False where it is not there. Raises NoAnswerError when it is another thing."""
    value = record.get(name, False)
    if not isinstance(value, bool):
        raise NoAnswerError(f"its answer has something else than true or false as {name}")
    return value


def records_of(record: Record, name: str) -> list[Record]:
    """The records of a list, none where it is not there (an empty one is left out). Raises NoAnswerError."""
    return list(_records(record.get(name) or []))


def _records(value: object) -> Iterator[Record]:
    for item in value if isinstance(value, list) else [None]:
        if not isinstance(item, dict):
            raise NoAnswerError("its answer has something else where a list of objects is")
        yield item
