"""Query a workspace within a deadline and in parallel. Each query returns an answer or the reason of its failure.

This module reads records and lists by GET, because the SDK's typed clients read pages without limit and accept fields
of any type. Typed clients only run statements and the test of a credential.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import requests

from sensor_streams.errors import ConfigurationError
from sensor_streams.preflight.facts import Unknown
from sensor_streams_dev.preflight.answers import Answer, NoAnswerError, Record, reason, records_of, text

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

Key = TypeVar("Key", bound=Hashable)

# No real schema or metastore has more pages.
MAX_PAGES = 200
_SECRETS = ("token", "password", "client_secret", "azure_client_secret", "google_credentials")
# Seconds after the deadline in which a waiting query can still report its reason.
_GRACE = 0.1


@dataclass(frozen=True)
class Timeouts:
    """call: seconds for a part of one answer; total: seconds for all queries with their retries; at_once: number of
    parallel queries."""

    call: float = 10.0
    total: float = 30.0
    at_once: int = 12


@dataclass
class Deadline:
    """Clock for the SDK's retries, with a deadline. The SDK's own clock waits as long as a Retry-After header says."""

    seconds: float
    end: float = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start the time from now."""
        self.end = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds until the deadline, 0 after it."""
        return max(0.0, self.end - time.monotonic())

    def time(self) -> float:
        """Return the seconds since 1970. Raises TimeoutError after the deadline."""
        if not self.left:
            raise TimeoutError(f"not done within {self.seconds:.0f} s")
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait. Raises TimeoutError if the wait would end after the deadline."""
        if seconds >= self.left:
            raise TimeoutError(f"a retry would wait {seconds:.0f} s, longer than the limit of {self.seconds:.0f} s")
        time.sleep(seconds)


@dataclass(frozen=True)
class WorkspaceReader:
    """A workspace that is queried by GET until a deadline."""

    client: "WorkspaceClient"
    deadline: Deadline
    at_once: int

    def get(self, path: str, *parts: str, **query: str | int) -> dict[str, Any]:
        """Return the answer to a GET, and the header `date` in it. parts: escaped and appended to the path.

        Raises the errors of the SDK and of requests, and NoAnswerError if the answer is not a JSON object.
        """
        headers = {"Accept": "application/json"}
        if self.client.config.workspace_id:
            headers["X-Databricks-Workspace-Id"] = str(self.client.config.workspace_id)
        url = "/".join([path, *(quote(part, safe="") for part in parts)])
        try:
            found = self.client.api_client.do("GET", url, query=query, headers=headers, response_headers=["date"])
        except (requests.exceptions.JSONDecodeError, UnicodeDecodeError):
            raise NoAnswerError("its answer is not JSON: it was cut off, or a proxy answered") from None
        except TypeError:
            found = None
        if not isinstance(found, dict):
            raise NoAnswerError("its answer is not a JSON object")
        return found

    def listed(self, path: str, key: str, **query: str | int) -> list[Record]:
        """Return the records of all pages of a list. Raises as `get`, and NoAnswerError for endless pages."""
        records: list[Record] = []
        token, known = "", set[str]()
        for _ in range(MAX_PAGES):
            page = self.get(path, **query, **({"page_token": token} if token else {}))
            records += records_of(page, key)
            token = text(page, "next_page_token", "")
            if not token:
                return records
            if token in known:
                raise NoAnswerError("its pages repeat without end")
            known.add(token)
        raise NoAnswerError(f"its list has more than {MAX_PAGES} pages")

    def answer(self, query: Callable[[], Answer]) -> Answer | Unknown:
        """Return the answer to a query, or the reason of its failure without secrets of the client."""
        try:
            return query()
        except Exception as error:
            because = reason(error)
            for name in _SECRETS:
                if secret := getattr(self.client.config, name, None):
                    because = because.replace(str(secret), "…")
            return Unknown(because)

    def in_parallel(self, queries: Mapping[Key, Callable[[], Answer]]) -> dict[Key, Answer | Unknown]:
        """Return the answer to each query; Unknown for those that are open at the deadline."""
        waiting: SimpleQueue[Key] = SimpleQueue()
        answered: SimpleQueue[tuple[Key, Answer | Unknown]] = SimpleQueue()
        for key in queries:
            waiting.put(key)

        def work() -> None:
            while True:
                try:
                    key = waiting.get_nowait()
                except Empty:
                    return
                answered.put((key, self.answer(queries[key])))

        # Daemon threads: a very slow answer must not keep the process alive.
        for number in range(min(self.at_once, len(queries))):
            threading.Thread(target=work, name=f"preflight-{number}", daemon=True).start()
        late = Unknown(f"no complete answer within {self.deadline.seconds:.0f} s")
        answers: dict[Key, Answer | Unknown] = dict.fromkeys(queries, late)
        for _ in queries:
            try:
                key, answer = answered.get(timeout=self.deadline.left + _GRACE)
            except Empty:
                break
            answers[key] = answer
        return answers


def connect(profile: str | None, timeouts: Timeouts) -> WorkspaceReader | Unknown:
    """Return the workspace of the SDK's default credentials; Unknown if they are missing or incomplete.

    Raises ConfigurationError for an unknown profile.
    """
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.core import Config

    # The report contains the reasons of failures; warnings would appear between its lines.
    logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
    deadline = Deadline(timeouts.total)
    clock: Any = deadline
    try:
        config = Config(
            profile=profile,
            http_timeout_seconds=timeouts.call,
            # The SDK first reads the host's metadata, with its own clock. Without an answer, it waits twice this long.
            retry_timeout_seconds=1,
            clock=clock,
        )
        config.retry_timeout_seconds = max(1, int(timeouts.total))
        deadline.start()
        return WorkspaceReader(WorkspaceClient(config=config), deadline, timeouts.at_once)
    except ValueError as error:
        if profile is not None and "profile" in str(error):
            raise ConfigurationError(
                f"the Databricks configuration file has no complete profile {profile}: "
                f"run `databricks auth login --profile {profile}`"
            ) from None
        return Unknown(
            "no credentials for a workspace were found: run `databricks auth login --host https://<workspace>`, "
            "or set DATABRICKS_CONFIG_PROFILE"
        )
    except Exception as error:
        return Unknown(reason(error))
