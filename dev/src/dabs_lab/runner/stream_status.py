"""Real progress of each stream, independent of the state of its run."""

from collections.abc import Iterator
from dataclasses import dataclass

from databricks.sdk.service.jobs import RunLifecycleStateV2State

from dabs_lab.jobs.events import Json
from dabs_lab.jobs.snapshots import JobSnapshot, RunSnapshot, TaskSnapshot
from dabs_lab.runner.attempts import Batch
from dabs_lab.runner.run_state import Attempt, RunState

# A running stream without a batch for longer than this may be stuck.
_FRESH_SECONDS = 60.0


@dataclass(frozen=True)
class StreamStatus:
    """Status of a stream. lives: its process runs; still_seconds: since its last batch, or since its task began."""

    run: int
    task: str
    stream: str
    batch: Batch | None
    lives: bool
    still_seconds: float
    why: str

    @property
    def moves(self) -> bool:
        """True if its process lives and a batch ended recently."""
        return self.lives and self.batch is not None and self.still_seconds <= _FRESH_SECONDS

    def as_dict(self) -> dict[str, Json]:
        """Return the JSON object."""
        batch = self.batch
        return {
            "run": self.run,
            "task": self.task,
            "stream": self.stream,
            "batch": batch.number if batch else None,
            "rows_in": batch.rows_in if batch else None,
            "rows_out": batch.rows_out if batch else None,
            "lag_seconds": batch.lag_seconds if batch else None,
            "lives": self.lives,
            "moves": self.moves,
            "still_seconds": round(self.still_seconds, 1),
            "why": self.why,
        }


def stream_statuses(state: RunState, snapshot: JobSnapshot, now: float) -> Iterator[StreamStatus]:
    """Return the status of each stream in a snapshot; `now` is the monotonic clock."""
    for run in snapshot.runs:
        for task in run.tasks:
            attempts = [state.attempts[one.id] for one in task.attempts if one.id in state.attempts]
            for stream in dict.fromkeys(name for attempt in attempts for name in attempt.streams):
                yield _status(run, task, attempts, stream, now)


def _status(run: RunSnapshot, task: TaskSnapshot, attempts: list[Attempt], stream: str, now: float) -> StreamStatus:
    batches = [attempt.log.batches[stream] for attempt in attempts if stream in attempt.log.batches]
    batch = batches[-1] if batches else None
    lives = task.attempts[-1].state is RunLifecycleStateV2State.RUNNING
    since = batch.seen if batch else attempts[0].started
    if lives:
        why = "its process lives"
    elif task.retry_at is not None:
        why = f"its task waits for attempt {len(task.attempts) + 1} at {task.retry_at:%H:%M:%S}"
    elif task.result is not None:
        why = f"its task ended as {task.result.value}"
    else:
        why = f"its task is {task.state.value}"
    return StreamStatus(run.id, task.key, stream, batch, lives, max(0.0, now - since), why)
