"""Name of the writer in each commit of a table, so that writes of other programs can be recognised."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import SparkSession

_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_KEY = "sensor_streams"


@dataclass(frozen=True)
class Signature:
    """Writer of a commit: id of a transaction or name of a command. batch: number of the stream's batch, if any.

    Stored in the column `userMetadata` of a table's history. Delta stores the transaction itself in the log only, which
    SQL cannot read.
    """

    writer: str
    batch: int | None = None

    @contextmanager
    def on(self, session: SparkSession) -> Iterator[None]:
        """Sign all commits of this session inside the `with` block."""
        session.conf.set(_USER_METADATA, json.dumps({_KEY: self.writer, "batch": self.batch}))
        try:
            yield
        finally:
            session.conf.unset(_USER_METADATA)

    @classmethod
    def read(cls, user_metadata: str | None) -> "Signature | None":
        """Return the signature in the user metadata of a commit; None for a commit of another program."""
        try:
            found = json.loads(user_metadata or "null")
        except ValueError:
            return None
        if not isinstance(found, dict) or not isinstance(found.get(_KEY), str):
            return None
        batch = found.get("batch")
        return cls(found[_KEY], batch if isinstance(batch, int) else None)


def of_rebuild(stream: str) -> Signature:
    """Return the signature of a rebuild of a stream's table."""
    return Signature(f"rebuild:{stream}")


def of_whole_rebuild(stream: str) -> Signature:
    """Return the signature of the last commit of a rebuild that has compared all rows of a stream's table."""
    return Signature(f"whole-rebuild:{stream}")


# Signature of an erasure.
ERASE = Signature("erase")
