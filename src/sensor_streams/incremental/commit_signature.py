"""Who wrote a commit, in the table's own history: what tells our writers from a stranger."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import SparkSession

_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_KEY = "sensor_streams"


@dataclass(frozen=True)
class Signature:
    """writer: the transaction's id, or what a command calls itself; batch: the number of the stream's batch, if any.

    It stands in the column `userMetadata` of a table's history. Delta keeps the transaction itself in the log only,
    where nobody reads it who has SQL and no more.
    """

    writer: str
    batch: int | None = None

    @contextmanager
    def on(self, session: SparkSession) -> Iterator[None]:
        """Sign what is committed meanwhile through this session."""
        session.conf.set(_USER_METADATA, json.dumps({_KEY: self.writer, "batch": self.batch}))
        try:
            yield
        finally:
            session.conf.unset(_USER_METADATA)

    @classmethod
    def read(cls, user_metadata: str | None) -> "Signature | None":
        """The signature in a commit's user metadata; None for a commit of somebody else."""
        try:
            told = json.loads(user_metadata or "null")
        except ValueError:
            return None
        if not isinstance(told, dict) or not isinstance(told.get(_KEY), str):
            return None
        batch = told.get("batch")
        return cls(told[_KEY], batch if isinstance(batch, int) else None)


def of_rebuild(stream: str) -> Signature:
    """The signature of a range that was computed afresh."""
    return Signature(f"rebuild:{stream}")


# The signature of an erasure, in every table that it changes.
ERASE = Signature("erase")
