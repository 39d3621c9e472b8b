"""Entry points of a deployed job: they return when the task ended well and raise when it did not."""

import logging
import os
import sys
from functools import partial

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
from sensor_streams.runtime.settings_record import Records, check_features, record_training
from sensor_streams.runtime.stores import catalog_of, registry_of
from sensor_streams.runtime.task import TaskReport, run_task
from sensor_streams.settings import Settings, parse_parameters, take_stream_names, task_settings
from sensor_streams.streams import BY_NAME, streams_of

log = logging.getLogger("sensor_streams.runtime")


# What the wheel's tasks are called in a job, by the names of the project's entry points.
ENTRY_POINTS = ("stream", "train", "maintain", "rebuild", "erase")
# Parameters that are no settings.
_OWN = {"stream": {"streams"}, "rebuild": {"models"}, "erase": {"device", "from", "to"}}


def stream() -> TaskReport:
    """The task of some streams: those that the parameter `streams` names, with commas; the rest are settings."""
    arguments = parse_parameters(sys.argv[1:])
    names = take_stream_names(arguments)
    streams = streams_of(names)
    settings = _settings(arguments)
    with json_lines_to(sys.stdout):
        announce(stream.name for stream in streams)
        return run_task(job_session(), settings, names)


def train() -> TrainingReport:
    """The task that trains both models on the tables as they are, and makes them champion."""
    settings = _settings(parse_parameters(sys.argv[1:]))
    spark = job_session()
    log.info("%s", RunEnvironment.of(spark))
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
    """The task that computes the tables again which a change of sensors.yml asks for; `models`: train or keep."""
    arguments = parse_parameters(sys.argv[1:])
    models = arguments.pop("models", "")
    if models not in ("", "train", "keep"):
        raise ConfigurationError(f"parameter models is {models!r}: give train, keep, or nothing")
    settings = _settings(arguments)
    spark, registry = job_session(), registry_of(settings)
    records = Records.of(settings, catalog_of(spark, settings), load_fleet(settings.sensors))
    champion = partial(registry.load_champion, spark)
    with only_writer(settings, COMPUTED, "rebuild"):
        train_all = (lambda: _trained(records, settings)) if models == "train" else None
        report = rebuild_changed(records, champion, train_all, models == "keep")
    for line in report.lines():
        log.info("%s", line)
    return report


def erase() -> Erased:
    """The task that erases the readings of one device (`device`, `from`, `to`) from tables and files."""
    arguments = parse_parameters(sys.argv[1:])
    device, low, high = (arguments.pop(name, "") for name in ("device", "from", "to"))
    if not device:
        raise ConfigurationError("parameter device is missing: give the device_id whose readings are erased")
    span = [parse_time(text, name) if text else None for name, text in (("from", low), ("to", high))]
    settings = _settings(arguments)
    spark, registry = job_session(), registry_of(settings)
    champion = partial(registry.load_champion, spark)
    catalog, fleet = catalog_of(spark, settings), load_fleet(settings.sensors)
    with only_writer(settings, list(BY_NAME), "erase"):
        report = erase_all(catalog, settings, fleet, Erasure(device, *span), champion)
    for line in report.report():
        log.info("%s", line)
    return report


def maintain() -> MaintenanceReport:
    """The task that keeps tables and landing folder in order."""
    settings = _settings(parse_parameters(sys.argv[1:]))
    spark = job_session()
    log.info("%s", RunEnvironment.of(spark))
    report = maintain_tables(catalog_of(spark, settings), settings, load_fleet(settings.sensors))
    for line in report.lines():
        log.info("%s", line)
    return report


def accepted_parameters(entry_point: str) -> frozenset[str]:
    """The names of the parameters that an entry point takes. Raises ConfigurationError for a name that is none."""
    if entry_point not in ENTRY_POINTS:
        raise ConfigurationError(f"no entry point is called {entry_point!r}; there are: {', '.join(ENTRY_POINTS)}")
    names = {field.alias or name for name, field in Settings.model_fields.items()} | {"settings"}
    return frozenset(names | _OWN.get(entry_point, set()))


def _settings(arguments: dict[str, str]) -> Settings:
    # Where the driver has set up logging already, this adds nothing but the level.
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("sensor_streams").setLevel(logging.INFO)
    return task_settings(arguments, os.environ)
