"""Runs streams and kills itself, -9, right after its nth write: `python -m tests.slow.killed settings.yml n`."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from delta.tables import DeltaMergeBuilder

from sensor_streams.local.workspace import Workspace
from sensor_streams.runtime.task import run_task

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Every write to a table of a stream is a merge: count them."""
    least = int(sys.argv[2])
    real = DeltaMergeBuilder.execute
    writes = 0

    def execute(self: DeltaMergeBuilder) -> Any:
        nonlocal writes
        result = real(self)
        writes += 1
        if writes == least:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    DeltaMergeBuilder.execute = execute
    # The same run in another attempt, so that the killed one's lease locks nobody out.
    arguments = {"run": "nightly", "attempt": int(sys.argv[3]), "progress_interval": "1 hour"}
    workspace = Workspace.open(ROOT / "local.yml", arguments, Path(sys.argv[1]), home=Path(sys.argv[1]).parent)
    run_task(workspace.spark, workspace.settings, fleet=workspace.fleet)


if __name__ == "__main__":
    main()
