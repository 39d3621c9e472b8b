"""Entry points of a deployed job: they return when the task succeeded and raise when it failed."""

import logging
import os
import sys
from functools import partial

from pyspark.sql import SparkSession

from sensor_streams.checkpoint.settings_record import Records, check_features, record_training
from sensor_streams.durations import parse_time
from sensor_streams.erasure.device_lines import Erasure
from sensor_streams.erasure.erase import Erased
from sensor_streams.erasure.erase import erase as erase_all
from sensor_streams.errors import ConfigurationError
from sensor_streams.fleet import load_fleet
from sensor_streams.inference.training import TrainingReport, train_on_tables
from sensor_streams.maintenance import MaintenanceReport
from sensor_streams.maintenance import maintain as maintain_tables
from sensor_streams.rebuild import COMPUTED, Rebuilt, only_writer, rebuild_changed
from sensor_streams.runtime.job_session import job_session
from sensor_streams.runtime.progress import announce, json_lines_to
from sensor_streams.runtime.run_environment import RunEnvironment
from sensor_streams.runtime.task import TaskReport, run_task
from sensor_streams.settings import Settings, parse_parameters, take_stream_names, task_settings
from sensor_streams.stores import catalog_of, registry_of
from sensor_streams.streams import BY_NAME, streams_of

log = logging.getLogger("sensor_streams.runtime")

# Names of the wheel's entry points, as python_wheel_task has them.
ENTRY_POINTS = ("stream", "train", "maintain", "rebuild", "erase")
# Parameters in addition to the settings.
_OWN = {"stream": {"streams"}, "rebuild": {"models"}, "erase": {"device", "from", "to"}}


def stream() -> TaskReport:
    """Run the streams of the parameter `streams` (names with commas); all other parameters are settings."""
    arguments = parse_parameters(sys.argv[1:])
    names = take_stream_names(arguments)
    streams = streams_of(names)
    settings = _settings(arguments)
    with json_lines_to(sys.stdout):
        announce(stream.name for stream in streams)
        return run_task(job_session(), settings, names)


def train() -> TrainingReport:
    """Train both models on the current tables, and give them the alias champion."""
    settings = _settings(parse_parameters(sys.argv[1:]))
    spark = _session()
    records = Records.of(settings, catalog_of(spark, settings), load_fleet(settings.sensors))
    report = _trained(records, settings)
    log.info("trained: %s", "; ".join([*(f"{k} {v:.3f}" for k, v in report.figures.items()), *report.notes]))
    return report


def _trained(records: Records, settings: Settings) -> TrainingReport:
    check_features(records)
    report = train_on_tables(records.catalog, records.fleet, registry_of(settings))
    record_training(records, [version.name for version in report.versions])
    return report


def rebuild() -> Rebuilt:
    """Recompute the tables that a change of sensors.yml affects; parameter `models`: train or keep."""
    arguments = parse_parameters(sys.argv[1:])
    models = arguments.pop("models", "")
    if models not in ("", "train", "keep"):
        raise ConfigurationError(f"parameter models is {models!r}: give train, keep, or nothing")
    settings = _settings(arguments)
    spark, registry = _session(), registry_of(settings)
    records = Records.of(settings, catalog_of(spark, settings), load_fleet(settings.sensors))
    champion = partial(registry.load_champion, spark)
    with only_writer(settings, COMPUTED, "rebuild"):
        train_all = (lambda: _trained(records, settings)) if models == "train" else None
        report = rebuild_changed(records, champion, train_all, models == "keep")
    for line in report.lines():
        log.info("%s", line)
    return report


def erase() -> Erased:
    """Erase the readings of one device (parameters `device`, `from`, `to`) from tables and files."""
    arguments = parse_parameters(sys.argv[1:])
    device, low, high = (arguments.pop(name, "") for name in ("device", "from", "to"))
    if not device:
        raise ConfigurationError("parameter device is missing: give the device_id whose readings are erased")
    span = [parse_time(text, name) if text else None for name, text in (("from", low), ("to", high))]
    settings = _settings(arguments)
    spark, registry = _session(), registry_of(settings)
    champion = partial(registry.load_champion, spark)
    catalog, fleet = catalog_of(spark, settings), load_fleet(settings.sensors)
    with only_writer(settings, list(BY_NAME), "erase"):
        report = erase_all(catalog, settings, fleet, Erasure(device, *span), champion)
    for line in report.report():
        log.info("%s", line)
    return report


def maintain() -> MaintenanceReport:
    """Optimize and vacuum the tables, and archive landed files."""
    settings = _settings(parse_parameters(sys.argv[1:]))
    spark = _session()
    report = maintain_tables(catalog_of(spark, settings), settings, load_fleet(settings.sensors))
    for line in report.lines():
        log.info("%s", line)
    return report


def accepted_parameters(entry_point: str) -> frozenset[str]:
    """Return the parameter names of an entry point. Raises ConfigurationError for an unknown entry point."""
    if entry_point not in ENTRY_POINTS:
        raise ConfigurationError(f"unknown entry point {entry_point!r}; there are: {', '.join(ENTRY_POINTS)}")
    names = {field.alias or name for name, field in Settings.model_fields.items()} | {"settings"}
    return frozenset(names | _OWN.get(entry_point, set()))


def _session() -> SparkSession:
    """Return the session of the cluster, and log the versions that this run uses."""
    spark = job_session()
    log.info("%s", RunEnvironment.of(spark))
    return spark


def _settings(arguments: dict[str, str]) -> Settings:
    # On a driver with logging set up, this changes the level only.
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("sensor_streams").setLevel(logging.INFO)
    return task_settings(arguments, os.environ)
