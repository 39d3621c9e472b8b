"""The command line: `sensor-streams …`."""

import json
import logging
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sensor_streams.errors import ConfigurationError, SensorStreamsError
from sensor_streams.local.workspace import Workspace

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

Local = Annotated[Path, typer.Option("--local", help="what the deployment's names are on this machine")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="file of settings (YAML)")]
Landing = Annotated[str | None, typer.Option(help="folder in which files of readings arrive")]
Sensors = Annotated[str | None, typer.Option(help="the file that describes the fleet")]
Home = Annotated[Path | None, typer.Option(help="keep tables, models and checkpoints under this folder")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]
From = Annotated[str | None, typer.Option("--from", help="begin of the range, ISO 8601; UTC unless it says otherwise")]
To = Annotated[str | None, typer.Option("--to", help="end of the range")]
LOCAL_FILE = Path("local.yml")

console = Console()
errors = Console(stderr=True)


def _time(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{option} {text!r} is no time: write 2026-01-31 or 2026-01-31T12:00:00Z") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


@app.command()
def simulate(
    days: Annotated[float, typer.Option(help="how many days of readings")] = 3.0,
    start: Annotated[str, typer.Option(help="when the first file lands, ISO 8601")] = "2026-01-01",
    origin: Annotated[str | None, typer.Option(help="when the fleet began to run; the start unless given")] = None,
    devices: Annotated[int, typer.Option(min=1, help="devices of each type")] = 12,
    seed: Annotated[int, typer.Option(help="the same seed gives the same fleet")] = 1,
    files_every: Annotated[float, typer.Option(help="hours between two files")] = 6.0,
    truth: Annotated[Path | None, typer.Option(help="folder for what no real fleet tells")] = None,
    failures: Annotated[Path | None, typer.Option(help="file for the failures that are known")] = None,
    landing: Landing = None,
    sensors: Sensors = None,
    local: Local = LOCAL_FILE,
) -> None:
    """Write files of a simulated fleet: wear, faults, drop-outs, a day offline, a wrong clock, broken lines."""
    from sensor_streams.simulate import Simulation
    from sensor_streams.simulate import simulate as write

    workspace = Workspace.open(local, {"landing": landing, "sensors": sensors})
    begin = _time(start, "--start")
    assert begin is not None
    simulation = Simulation(
        workspace.fleet,
        seed=seed,
        origin=_time(origin, "--origin") or begin,
        devices=devices,
        files_every=timedelta(hours=files_every),
    )
    target = Path(workspace.settings.landing)
    with console.status("simulating"):
        report = write(simulation, target, begin, begin + timedelta(days=days), failures=failures, truth=truth)
    console.print(f"{report.files} files with {report.lines:,} lines in {target}", highlight=False, soft_wrap=True)


@app.command()
def failures(
    file: Annotated[Path, typer.Argument(help="JSON lines: device_id, failed_at, kind")],
    home: Home = None,
    local: Local = LOCAL_FILE,
) -> None:
    """Add failures that are known to the table that training reads."""
    from sensor_streams.failures import load_failures

    workspace = Workspace.open(local, home=home)
    writes = load_failures(workspace.catalog, file)
    console.print(f"{writes.inserted} new failures, {writes.updated} corrected")


@app.command()
def train(home: Home = None, sensors: Sensors = None, local: Local = LOCAL_FILE, as_json: AsJson = False) -> None:
    """Train both models on what the tables hold, and set the alias champion."""
    workspace = Workspace.open(local, {"sensors": sensors}, home=home)
    report = workspace.train()
    if as_json:
        print(json.dumps(asdict(report)))
        return
    for version in report.versions:
        console.print(f"{version.name} version {version.version} is champion")
    for name, value in report.figures.items():
        console.print(f"  {name} {value:.3f}")
    for note in report.notes:
        console.print(f"  {note}")


@app.command()
def stream(
    names: Annotated[list[str] | None, typer.Argument(help="tasks or streams; all eight unless given")] = None,
    trigger: Annotated[str | None, typer.Option(help="available-now, or an interval such as 30 s")] = None,
    landing: Landing = None,
    checkpoints: Annotated[str | None, typer.Option(help="folder of the checkpoints")] = None,
    sensors: Sensors = None,
    max_files: Annotated[int | None, typer.Option(help="files that one batch takes at most")] = None,
    run: Annotated[str | None, typer.Option(help="id of the run")] = None,
    attempt: Annotated[int | None, typer.Option(help="attempt of the run")] = None,
    settings: SettingsFile = None,
    home: Home = None,
    local: Local = LOCAL_FILE,
) -> None:
    """Run streams here: until their input is drained, or for ever with a trigger of processing time."""
    from sensor_streams.local.watch import Watch

    arguments: dict[str, object] = {
        "trigger": trigger,
        "landing": landing,
        "checkpoints": checkpoints,
        "sensors": sensors,
        "max_files": max_files,
        "run": run,
        "attempt": attempt,
    }
    workspace = Workspace.open(local, arguments, settings, home, log_name=f"stream-{os.getpid()}")
    Watch(console, workspace).run(names or [], ", ".join(names or ["all eight"]))


@app.command()
def verify(
    low: From = None,
    high: To = None,
    only: Annotated[list[str] | None, typer.Option(help="check this table only (may be given again)")] = None,
    home: Home = None,
    sensors: Sensors = None,
    local: Local = LOCAL_FILE,
    as_json: AsJson = False,
) -> None:
    """Recompute every table and compare; print the rows that differ. Ends with 1 when there are any."""
    from sensor_streams.verify import verify as check

    workspace = Workspace.open(local, {"sensors": sensors}, home=home)
    with errors.status("every table computed afresh and compared"):
        checks = check(
            workspace.catalog,
            workspace.fleet,
            workspace.load_model,
            _time(low, "--from"),
            _time(high, "--to"),
            only or (),
        )
    differing = sum(c.differing for c in checks)
    if as_json:
        print(json.dumps({"differing": differing, "tables": [asdict(c) for c in checks]}))
    else:
        table = Table("table", "rows", "differing")
        for c in checks:
            table.add_row(c.table, f"{c.rows:,}", f"{c.differing:,}")
        console.print(table)
        for c in checks:
            for example in c.examples:
                console.print(f"{c.table}: {example}", highlight=False)
        console.print(f"{differing} rows differ", highlight=False)
    if differing:
        raise typer.Exit(1)


@app.command()
def rebuild(
    name: Annotated[str, typer.Argument(help="the stream whose table is computed afresh")],
    low: From = None,
    high: To = None,
    home: Home = None,
    sensors: Sensors = None,
    local: Local = LOCAL_FILE,
) -> None:
    """Compute a range of a stream's table afresh; only what differs is written."""
    from sensor_streams.rebuild import rebuild as compute
    from sensor_streams.streams import BY_NAME

    workspace = Workspace.open(local, {"sensors": sensors}, home=home)
    model = None
    kind = BY_NAME[name].model if name in BY_NAME else None
    if kind is not None:
        champion = workspace.registry.champion(kind)
        model = None if champion is None else workspace.load_model(kind, champion.version)
    writes = compute(workspace.catalog, workspace.fleet, name, _time(low, "--from"), _time(high, "--to"), model)
    console.print(f"{writes.inserted} rows added, {writes.updated} changed, {writes.deleted} removed", highlight=False)


@app.command()
def demo(
    folder: Annotated[Path | None, typer.Option("--input", help="your own files of readings")] = None,
    sensors: Sensors = None,
    known: Annotated[Path | None, typer.Option("--failures", help="failures that are known of your own fleet")] = None,
    home: Home = None,
    local: Local = LOCAL_FILE,
) -> None:
    """A simulated fleet through all eight streams, or your own files with --input and --sensors."""
    from sensor_streams.local.demo import Demo

    if folder is None:
        workspace = Workspace.open(local, {"sensors": sensors}, home=home or Path(".local/demo"), log_name="demo")
        Demo(workspace, console).simulated()
    else:
        own = {"landing": str(folder.absolute()), "sensors": sensors}
        where = home or Path(".local/own") / folder.absolute().name
        Demo(Workspace.open(local, own, home=where, log_name="demo"), console).own(known)


@app.command()
def cmapss(
    data: Annotated[Path, typer.Option(help="folder with train_FD001.txt, test_FD001.txt, RUL_FD001.txt")],
    name: Annotated[str, typer.Option("--set", help="FD001 to FD004")] = "FD001",
    home: Home = None,
    local: Local = LOCAL_FILE,
) -> None:
    """NASA's turbofan engines through the eight streams, with the error of the life estimates at the end."""
    from sensor_streams.local.cmapss import Turbofan

    where = home or Path(".local/cmapss") / name
    Turbofan(data, name, where, local, console).run()


@app.command()
def doctor(quiet: Annotated[bool, typer.Option(help="say nothing when all is well")] = False) -> None:
    """Start Spark with Delta once and say what there is."""
    from sensor_streams.session import local_session

    spark = local_session("doctor", Path(".local/log/doctor.log"), cores=1, memory="1g")
    found: dict[str, Any] = {
        "python": sys.version.split()[0],
        "java": spark._jvm.System.getProperty("java.version") if spark._jvm else "?",
        "spark": spark.version,
    }
    spark.stop()
    if not quiet:
        console.print(", ".join(f"{k} {v}" for k, v in found.items()), highlight=False)


def main() -> None:
    """Run a command. Only here is an error turned into an exit code: 1 for what went wrong, 2 for wrong usage."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    try:
        app()
    except SensorStreamsError as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
