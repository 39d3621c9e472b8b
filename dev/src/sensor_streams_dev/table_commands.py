"""Commands on tables: `verify`, `rebuild`, `reread`, `maintain`, `erase`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dabs_lab.runner.console import say
from dabs_lab.runner.local_config import LOCAL_FILE
from sensor_streams.durations import parse_time
from sensor_streams.errors import ConfigurationError, ModelError
from sensor_streams_dev.command_options import AsJson, Home, Landing, Local, Sensors, SettingsFile, open_home

From = Annotated[str | None, typer.Option("--from", help="begin of the range, ISO 8601, UTC by default")]
To = Annotated[str | None, typer.Option("--to", help="end of the range")]
# Results go to standard output, progress to standard error.
console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)


def verify(
    low: From = None,
    high: To = None,
    only: Annotated[list[str] | None, typer.Option(help="check only this table (repeatable)")] = None,
    landing: Landing = None,
    settings: SettingsFile = None,
    home: Home = None,
    sensors: Sensors = None,
    local: Local = LOCAL_FILE,
    as_json: AsJson = False,
) -> None:
    """Compute every table again and print the rows that differ. Exit code 1: some rows differ."""
    from sensor_streams.verify import check_names, skipped_streams
    from sensor_streams.verify import verify as check

    check_names(only or ())
    begin, end = _range(low, high)
    workspace = open_home(local, {"sensors": sensors}, settings, home, has_tables=True)
    fleet = workspace.fleet
    with errors.status("computing every table again to compare"):
        load = workspace.load_model
        checks = check(workspace.catalog, fleet, load, begin, end, only or (), landing=landing or workspace.landing)
        missing = skipped_streams(workspace.catalog, only or ())
    differing = sum(c.differing for c in checks)
    if as_json:
        print(json.dumps({"differing": differing, "tables": [asdict(c) for c in checks], "left_out": missing}))
    else:
        table = Table("table", "rows", "differing")
        for c in checks:
            table.add_row(c.table, f"{c.rows:,}", f"{c.differing:,}")
        console.print(table)
        for files in (c.files for c in checks if c.files is not None):
            say(console, f"readings were compared by the line counts of {files:,} files")
        for c in checks:
            for example in c.examples:
                say(console, f"{c.table}: {example}")
        for name, tables in missing.items():
            say(console, f"{name} was not checked: table {', '.join(tables)} not found")
        say(console, f"{differing} rows differ")
    if differing:
        raise typer.Exit(1)


def rebuild(
    name: Annotated[str | None, typer.Argument(help="stream whose table is computed again")] = None,
    low: From = None,
    high: To = None,
    changed: Annotated[bool, typer.Option("--changed", help="all tables that a change of sensors.yml affects")] = False,
    train: Annotated[bool, typer.Option("--train", help="with --changed: train the models that need it")] = False,
    keep_models: Annotated[bool, typer.Option("--keep-models", help="with --changed: keep the current models")] = False,
    settings: SettingsFile = None,
    home: Home = None,
    sensors: Sensors = None,
    local: Local = LOCAL_FILE,
) -> None:
    """Compute a range of a stream's table again and write only rows that differ."""
    from sensor_streams.rebuild import COMPUTED, computed_stream, only_writer, rebuild_changed
    from sensor_streams.rebuild import rebuild as compute

    if changed == (name is not None):
        raise ConfigurationError("rebuild takes the name of a stream, or --changed")
    if (train or keep_models) and (not changed or (train and keep_models)):
        raise ConfigurationError("--train and --keep-models go with --changed, one of the two at a time")
    if changed and (low or high):
        raise ConfigurationError("--changed takes no --from and no --to: it computes whole tables again")
    stream = None if name is None else computed_stream(name)
    begin, end = _range(low, high)
    workspace = open_home(local, {"sensors": sensors}, settings, home, has_tables=True)
    fleet = workspace.fleet

    if stream is None:
        with only_writer(workspace.settings, COMPUTED, "rebuild"), errors.status("tables") as status:
            report = rebuild_changed(
                workspace.records,
                workspace.champion,
                workspace.train if train else None,
                keep_models,
                on_table=lambda table: status.update(f"table {table}"),
            )
        for line in report.lines():
            say(console, line)
        return
    with only_writer(workspace.settings, [stream.name], "rebuild"):
        model = None if stream.model is None else workspace.champion(stream.model)
        if stream.model is not None and model is None:
            raise ModelError(f"{name} cannot be rebuilt: no {stream.model} model has the alias champion. Run train")
        writes = compute(workspace.catalog, fleet, stream.name, begin, end, model)
        if begin is None and end is None:
            workspace.records.record_current(stream.name)
    say(console, f"{writes.inserted} rows added, {writes.updated} changed, {writes.deleted} removed")


def erase(
    device: Annotated[str, typer.Option(help="device_id whose readings are erased")],
    low: From = None,
    high: To = None,
    yes: Annotated[bool, typer.Option("--yes", help="erase without asking")] = False,
    archive: Annotated[str | None, typer.Option(help="archive folder of ingested files")] = None,
    settings: SettingsFile = None,
    home: Home = None,
    sensors: Sensors = None,
    local: Local = LOCAL_FILE,
    as_json: AsJson = False,
) -> None:
    """Erase a device's readings and all rows computed from them from every table and file. This cannot be undone."""
    from sensor_streams.erasure.device_lines import Erasure
    from sensor_streams.erasure.erase import erase as erase_all
    from sensor_streams.rebuild import only_writer
    from sensor_streams.streams import BY_NAME

    if not device.strip():
        raise ConfigurationError("--device is empty: give the device_id whose readings are erased")
    erasure = Erasure(device, *_range(low, high))
    workspace = open_home(local, {"sensors": sensors, "archive": archive}, settings, home, has_tables=True)
    if not yes:
        span = "all readings" if erasure.whole else f"the readings from {low or 'the first'} to {high or 'the last'}"
        if not sys.stdin.isatty():
            raise ConfigurationError(f"erase removes {span} of the device for good: give --yes to do it")
        typer.confirm(
            f"Erase {span} of {device} in schema {workspace.settings.schema_name} and in its files?", abort=True
        )

    fleet = workspace.fleet
    with only_writer(workspace.settings, list(BY_NAME), "erase"), errors.status("erasing") as status:
        report = erase_all(
            workspace.catalog, workspace.settings, fleet, erasure, workspace.champion, on_step=status.update
        )
    _print(asdict(report), report.report(), as_json)


def reread(
    names: Annotated[list[str] | None, typer.Argument(help="files in the landing folder; default: all changed")] = None,
    landing: Landing = None,
    settings: SettingsFile = None,
    home: Home = None,
    sensors: Sensors = None,
    local: Local = LOCAL_FILE,
) -> None:
    """Read files again that changed after ingestion; stored lines have no effect."""
    from sensor_streams.ingest.changed_files import reread as read
    from sensor_streams.rebuild import only_writer

    workspace = open_home(local, {"sensors": sensors}, settings, home, has_tables=True)
    fleet = workspace.fleet.of_any_age() if workspace.settings.load_history else workspace.fleet
    with only_writer(workspace.settings, ["readings"], "reread"):
        files, outcome = read(workspace.catalog, fleet, landing or workspace.landing, names or ())
    for name in files:
        say(console, name)
    say(console, f"{len(files):,} files read again, {outcome.writes.inserted:,} readings added")


def maintain(
    archive: Annotated[str | None, typer.Option(help="archive folder for ingested files")] = None,
    archive_after: Annotated[str | None, typer.Option(help="age at which they are archived: 7 days")] = None,
    keep: Annotated[str | None, typer.Option(help="age at which replaced data files are deleted: 7 days")] = None,
    settings: SettingsFile = None,
    home: Home = None,
    sensors: Sensors = None,
    local: Local = LOCAL_FILE,
    as_json: AsJson = False,
) -> None:
    """Run OPTIMIZE, run VACUUM without deleting unread changes, and archive ingested files."""
    from sensor_streams.maintenance import maintain as maintain_tables

    arguments = {"archive": archive, "archive_after": archive_after, "keep": keep, "sensors": sensors}
    workspace = open_home(local, arguments, settings, home, has_tables=True)
    fleet = workspace.fleet
    with errors.status("maintenance") as status:
        report = maintain_tables(
            workspace.catalog, workspace.settings, fleet, on_table=lambda table: status.update(f"table {table}")
        )
    _print(asdict(report), report.lines(), as_json)


def _print(found: dict[str, Any], lines: Sequence[str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found))
        return
    for line in lines:
        say(console, line)


def _range(low: str | None, high: str | None) -> tuple[datetime | None, datetime | None]:
    begin = None if low is None else parse_time(low, "--from")
    end = None if high is None else parse_time(high, "--to")
    if begin is not None and end is not None and end <= begin:
        raise ConfigurationError(f"--to {high} is not after --from {low}")
    return begin, end
