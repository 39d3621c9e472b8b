"""The commands that look after tables: `verify`, `rebuild`, `reread`, `maintain`."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from sensor_streams.durations import parse_time
from sensor_streams.errors import ConfigurationError, ModelError
from sensor_streams.local.config import LOCAL_FILE
from sensor_streams.local.options import AsJson, Home, Landing, Local, Sensors, SettingsFile, opened
from sensor_streams.local.plain import say

if TYPE_CHECKING:
    from sensor_streams.local.workspace import Workspace

From = Annotated[str | None, typer.Option("--from", help="begin of the range, ISO 8601; UTC unless it says otherwise")]
To = Annotated[str | None, typer.Option("--to", help="end of the range")]
# What is asked for goes to the one, what is going on to the other.
console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)


def verify(
    low: From = None,
    high: To = None,
    only: Annotated[list[str] | None, typer.Option(help="check this table only (may be given again)")] = None,
    landing: Landing = None,
    settings: SettingsFile = None,
    home: Home = None,
    sensors: Sensors = None,
    local: Local = LOCAL_FILE,
    as_json: AsJson = False,
) -> None:
    """Recompute every table and compare; print the rows that differ. Ends with 1 when there are any."""
    from sensor_streams.verify import check_names, left_out
    from sensor_streams.verify import verify as check

    check_names(only or ())
    begin, end = _range(low, high)
    workspace = opened(local, {"sensors": sensors}, settings, home)
    fleet = workspace.fleet
    with errors.status("every table computed afresh and compared"):
        load = workspace.load_model
        checks = check(workspace.catalog, fleet, load, begin, end, only or (), landing=landing or workspace.landing)
        missing = left_out(workspace.catalog, only or ())
    differing = sum(c.differing for c in checks)
    if as_json:
        print(json.dumps({"differing": differing, "tables": [asdict(c) for c in checks], "left_out": missing}))
    else:
        table = Table("table", "rows", "differing")
        for c in checks:
            table.add_row(c.table, c.compared, f"{c.differing:,}")
        console.print(table)
        for c in checks:
            for example in c.examples:
                say(console, f"{c.table}: {example}")
        for name, tables in missing.items():
            say(console, f"{name} was left out: there is no table {', '.join(tables)}")
        say(console, f"{differing} rows differ")
    if differing:
        raise typer.Exit(1)


def rebuild(
    name: Annotated[str, typer.Argument(help="the stream whose table is computed afresh")],
    low: From = None,
    high: To = None,
    settings: SettingsFile = None,
    home: Home = None,
    sensors: Sensors = None,
    local: Local = LOCAL_FILE,
) -> None:
    """Compute a range of a stream's table afresh; only what differs is written."""
    from sensor_streams.rebuild import computed_stream
    from sensor_streams.rebuild import rebuild as compute

    kind = computed_stream(name).model
    begin, end = _range(low, high)
    workspace = opened(local, {"sensors": sensors}, settings, home)
    fleet = workspace.fleet
    with _only_writer(workspace, name):
        model = None
        if kind is not None:
            champion = workspace.registry.champion(kind)
            if champion is None:
                raise ModelError(f"{name} cannot be rebuilt: no {kind} model has the alias champion; train first")
            model = workspace.load_model(kind, champion.version)
        writes = compute(workspace.catalog, fleet, name, begin, end, model)
    say(console, f"{writes.inserted} rows added, {writes.updated} changed, {writes.deleted} removed")


def reread(
    names: Annotated[list[str] | None, typer.Argument(help="files below the landing folder; all that changed")] = None,
    landing: Landing = None,
    settings: SettingsFile = None,
    home: Home = None,
    sensors: Sensors = None,
    local: Local = LOCAL_FILE,
) -> None:
    """Read files again that changed after they were read; lines that are stored change nothing."""
    from sensor_streams.ingest.changed import reread as read

    workspace = opened(local, {"sensors": sensors}, settings, home)
    fleet = workspace.fleet
    with _only_writer(workspace, "readings"):
        files, outcome = read(workspace.catalog, fleet, landing or workspace.landing, names or ())
    for name in files:
        say(console, name)
    say(console, f"{len(files):,} files read again, {outcome.writes.inserted:,} readings added")


def maintain(
    archive: Annotated[str | None, typer.Option(help="folder that ingested files go to")] = None,
    archive_after: Annotated[str | None, typer.Option(help="how long they stay where they landed: 7 days")] = None,
    keep: Annotated[str | None, typer.Option(help="how long files that a table has replaced are kept: 7 days")] = None,
    settings: SettingsFile = None,
    home: Home = None,
    sensors: Sensors = None,
    local: Local = LOCAL_FILE,
    as_json: AsJson = False,
) -> None:
    """OPTIMIZE, VACUUM that leaves what streams have still to read, and the archive of landed files."""
    from sensor_streams.maintenance import maintain as keep_in_order

    asked = {"archive": archive, "archive_after": archive_after, "keep": keep, "sensors": sensors}
    workspace = opened(local, asked, settings, home)
    fleet = workspace.fleet
    with errors.status("maintenance") as status:
        report = keep_in_order(
            workspace.catalog, workspace.settings, fleet, on_table=lambda table: status.update(f"table {table}")
        )
    if as_json:
        print(json.dumps(asdict(report)))
        return
    for line in report.lines():
        say(console, line)


@contextmanager
def _only_writer(workspace: "Workspace", name: str) -> Iterator[None]:
    """Hold the stream's lease, as a run of its own: nobody takes over from it, and it takes over from nobody."""
    from sensor_streams.runtime.lease import Lease, this_process

    settings = workspace.settings
    run = f"rebuild-{uuid.uuid4().hex[:8]}"
    lease = Lease([Path(settings.checkpoints) / name], this_process(run, 1), settings.lease_timeout)
    lease.acquire()
    try:
        yield
    finally:
        lease.release()


def _range(low: str | None, high: str | None) -> tuple[datetime | None, datetime | None]:
    begin = None if low is None else parse_time(low, "--from")
    end = None if high is None else parse_time(high, "--to")
    if begin is not None and end is not None and end <= begin:
        raise ConfigurationError(f"--to {high} is not after --from {low}")
    return begin, end
