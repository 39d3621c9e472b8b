"""Runs streams as a job's task and kills itself, -9, right after its nth write: `killed.py n --parameter=value …`."""

import os
import signal
import sys
from typing import Any

from delta.tables import DeltaMergeBuilder

from sensor_streams.runtime.entry_points import stream


def main() -> None:
    """Every write to a table of a stream is a merge: count them."""
    last = int(sys.argv.pop(1))
    real = DeltaMergeBuilder.execute
    writes = 0

    def execute(self: DeltaMergeBuilder) -> Any:
        nonlocal writes
        result = real(self)
        writes += 1
        if writes == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    DeltaMergeBuilder.execute = execute
    stream()


if __name__ == "__main__":
    main()
