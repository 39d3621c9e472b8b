"""Entry points of a deployed job: they return when the task ended well and raise when it did not."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sensor_streams.errors import ConfigurationError
from sensor_streams.runtime.progress import json_lines_to
from sensor_streams.runtime.task import TaskReport, run_task
from sensor_streams.session import job_session
from sensor_streams.settings import load_settings


def feature_extraction() -> TaskReport:
    """The task of streams 1 to 4, with settings from the job's parameters (`--name value`)."""
    return _task(["feature_extraction"], sys.argv[1:])


def inference() -> TaskReport:
    """The task of streams 5 to 8."""
    return _task(["inference"], sys.argv[1:])


def all_streams() -> TaskReport:
    """All eight streams in one process."""
    return _task([], sys.argv[1:])


def parse_parameters(words: Sequence[str]) -> dict[str, str]:
    """`--name value` or `--name=value` to settings by name. Raises ConfigurationError for anything else."""
    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise ConfigurationError(f"parameter {word!r}: write --name value")
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not rest:
                raise ConfigurationError(f"parameter --{name} has no value")
            value = rest.pop(0)
        found[name.replace("-", "_")] = value
    return found


def _task(names: list[str], words: Sequence[str]) -> TaskReport:
    # Where the driver has set up logging already, this adds nothing but the level.
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("sensor_streams").setLevel(logging.INFO)
    arguments = parse_parameters(words)
    file = arguments.pop("settings", None)
    settings = load_settings(arguments, os.environ, None if file is None else Path(file))
    with json_lines_to(sys.stdout):
        return run_task(job_session(), settings, names)
