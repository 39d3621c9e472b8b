"""Run streams as a task of a job, and kill -9 the process after its nth write: `killed.py n --parameter=value …`."""

import os
import signal
import sys
from typing import Any

from delta.tables import DeltaMergeBuilder

from sensor_streams.runtime.entry_points import stream


def main() -> None:
    """Count the merges, because each write to a table of a stream is a merge."""
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
