"""Questions to a workspace: within a deadline, side by side, each with an answer or the reason why there is none."""

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

# No listing of one schema or metastore that people keep by hand is longer; one that is does not end.
MOST_PAGES = 200
_SECRETS = ("token", "password", "client_secret", "azure_client_secret", "google_credentials")
# Who waits until the deadline tells in a moment what it waited for.
_GRACE = 0.1


@dataclass(frozen=True)
class Patience:
    """call: seconds that a part of one answer may take; total: seconds for all, the waits that the workspace asks for
    included; at_once: how many questions are under way together."""

    call: float = 10.0
    total: float = 30.0
    at_once: int = 12


@dataclass
class Deadline:
    """The clock that the SDK waits by: it refuses what would end after the deadline (its own would sleep for as long as
    a Retry-After says). Raises TimeoutError."""

    seconds: float
    end: float = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Count from now."""
        self.end = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds until the deadline, 0 when it has passed."""
        return max(0.0, self.end - time.monotonic())

    def time(self) -> float:
        """Seconds since the epoch, while there is time left."""
        if not self.left:
            raise TimeoutError(f"not done within {self.seconds:.0f} s")
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait, if that ends before the deadline."""
        if seconds >= self.left:
            raise TimeoutError(
                f"to ask once more takes {seconds:.0f} s of waiting, and {self.seconds:.0f} s are for all"
            )
        time.sleep(seconds)


@dataclass(frozen=True)
class WorkspaceReader:
    """A workspace that is asked by GET alone, until a deadline."""

    client: "WorkspaceClient"
    deadline: Deadline
    at_once: int

    def get(self, path: str, *parts: str, **query: str | int) -> dict[str, Any]:
        """The answer to a GET; `parts` are put behind the path, escaped. With it `date`, the header.

        Raises the SDK's errors, requests', and NoAnswerError when the answer is no JSON object.
        """
        headers = {"Accept": "application/json"}
        if self.client.config.workspace_id:
            headers["X-Databricks-Workspace-Id"] = str(self.client.config.workspace_id)
        url = "/".join([path, *(quote(part, safe="") for part in parts)])
        try:
            found = self.client.api_client.do("GET", url, query=query, headers=headers, response_headers=["date"])
        except (requests.exceptions.JSONDecodeError, UnicodeDecodeError):
            raise NoAnswerError(
                "its answer is not JSON: it was cut, or something else than the workspace answered"
            ) from None
        except TypeError:
            raise NoAnswerError("its answer is JSON, and no object") from None
        if not isinstance(found, dict):
            raise NoAnswerError("its answer is JSON, and no object")
        return found

    def listed(self, path: str, key: str, **query: str | int) -> list[Record]:
        """All records of a listing, over all its pages.

        Raises as `get`, and NoAnswerError when the pages do not end.
        """
        records: list[Record] = []
        token, known = "", set[str]()
        for _ in range(MOST_PAGES):
            page = self.get(path, **query, **({"page_token": token} if token else {}))
            records += records_of(page, key)
            token = text(page, "next_page_token", "")
            if not token:
                return records
            if token in known:
                raise NoAnswerError("its pages lead in a circle")
            known.add(token)
        raise NoAnswerError(f"its pages do not end: {MOST_PAGES} were read")

    def answer(self, question: Callable[[], Answer]) -> Answer | Unknown:
        """What the question gives, or why it gave nothing; no secret of the client is in that."""
        try:
            return question()
        except Exception as error:
            told = reason(error)
            for name in _SECRETS:
                if secret := getattr(self.client.config, name, None):
                    told = told.replace(str(secret), "…")
            return Unknown(told)

    def side_by_side(self, questions: Mapping[Key, Callable[[], Answer]]) -> dict[Key, Answer | Unknown]:
        """The answer to each question; Unknown to those that are open at the deadline."""
        waiting: SimpleQueue[Key] = SimpleQueue()
        told: SimpleQueue[tuple[Key, Answer | Unknown]] = SimpleQueue()
        for key in questions:
            waiting.put(key)

        def work() -> None:
            while True:
                try:
                    key = waiting.get_nowait()
                except Empty:
                    return
                told.put((key, self.answer(questions[key])))

        # Daemons: an answer that comes a byte a second must not keep the process from ending.
        for number in range(min(self.at_once, len(questions))):
            threading.Thread(target=work, name=f"preflight-{number}", daemon=True).start()
        answers: dict[Key, Answer | Unknown] = {}
        while len(answers) < len(questions):
            try:
                key, answer = told.get(timeout=self.deadline.left + _GRACE)
            except Empty:
                break
            answers[key] = answer
        late = Unknown(f"no whole answer within {self.deadline.seconds:.0f} s")
        return {key: answers.get(key, late) for key in questions}


def connect(profile: str | None, patience: Patience) -> WorkspaceReader | Unknown:
    """The workspace of the SDK's usual chain of credentials; Unknown where there are none, or they are not complete.

    Raises ConfigurationError when the profile is not there.
    """
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.core import Config

    # What goes wrong is told by the answer; its warnings would stand between the lines of the report.
    logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
    deadline = Deadline(patience.total)
    clock: Any = deadline
    try:
        config = Config(
            profile=profile,
            http_timeout_seconds=patience.call,
            # The SDK looks at the host first, by a clock of its own: one that does not answer takes this long twice.
            retry_timeout_seconds=1,
            clock=clock,
        )
        config.retry_timeout_seconds = max(1, int(patience.total))
        deadline.begin()
        return WorkspaceReader(WorkspaceClient(config=config), deadline, patience.at_once)
    except ValueError as error:
        if profile is not None and "profile" in str(error):
            raise ConfigurationError(
                f"there is no complete profile {profile} in the Databricks configuration file: "
                f"run `databricks auth login --profile {profile}`"
            ) from None
        return Unknown(
            "there are no credentials for a workspace here: run `databricks auth login --host https://<workspace>`, "
            "or set DATABRICKS_CONFIG_PROFILE"
        )
    except Exception as error:
        return Unknown(reason(error))
