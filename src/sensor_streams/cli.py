"""The command line: `sensor-streams …`."""

import errno
import json
import logging
import os
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sensor_streams.durations import parse_time
from sensor_streams.errors import ConfigurationError, EnvironmentProblem, ModelError, SensorStreamsError
from sensor_streams.local.asked import own_home
from sensor_streams.local.config import LOCAL_FILE
from sensor_streams.local.plain import say
from sensor_streams.local.run_command import run
from sensor_streams.preflight.command import preflight

if TYPE_CHECKING:
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
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_DISK_FULL_IN_JAVA = "No space left on device"

app.command()(run)
app.command()(preflight)

# What is printed holds names and paths of the user: no `:word:` in them becomes a picture, no [word] a colour.
console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)


def _say(text: str) -> None:
    say(console, text)


def _open(
    local: Path,
    arguments: Mapping[str, object] | None = None,
    settings: Path | None = None,
    home: Path | None = None,
    log_name: str = "spark",
) -> "Workspace":
    # MLflow and scikit-learn take seconds to import: `run` and whoever asks for help need neither.
    from sensor_streams.local.workspace import Workspace

    return Workspace.open(local, arguments, settings, home, log_name)


def _range(low: str | None, high: str | None) -> tuple[datetime | None, datetime | None]:
    begin = None if low is None else parse_time(low, "--from")
    end = None if high is None else parse_time(high, "--to")
    if begin is not None and end is not None and end <= begin:
        raise ConfigurationError(f"--to {high} is not after --from {low}")
    return begin, end


def _plus(begin: datetime, option: str, days: float = 0, hours: float = 0) -> datetime:
    try:
        return begin + timedelta(days=days, hours=hours)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"{option} {days or hours} leads to no time that there is") from None


@app.command()
def simulate(
    days: Annotated[float, typer.Option(help="how many days of readings")] = 3.0,
    start: Annotated[str, typer.Option(help="when the first file lands, ISO 8601")] = "2026-01-01",
    origin: Annotated[str | None, typer.Option(help="when the fleet began to run; the start unless given")] = None,
    devices: Annotated[int, typer.Option(min=1, help="devices of each type")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="the same seed gives the same fleet")] = 1,
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

    begin = parse_time(start, "--start")
    end = _plus(begin, "--days", days=days)
    workspace = _open(local, {"landing": landing, "sensors": sensors})
    simulation = Simulation(
        workspace.fleet,
        seed=seed,
        origin=begin if origin is None else parse_time(origin, "--origin"),
        devices=devices,
        files_every=_plus(begin, "--files-every", hours=files_every) - begin,
    )
    target = Path(workspace.settings.landing)
    with console.status("simulating"):
        report = write(simulation, target, begin, end, failures=failures, truth=truth)
    _say(f"{report.files} files with {report.lines:,} lines in {target}")


@app.command()
def failures(
    file: Annotated[Path, typer.Argument(help="JSON lines: device_id, failed_at, kind")],
    settings: SettingsFile = None,
    home: Home = None,
    local: Local = LOCAL_FILE,
) -> None:
    """Add failures that are known to the table that training reads."""
    from sensor_streams.failures import load_failures

    workspace = _open(local, None, settings, home)
    writes = load_failures(workspace.catalog, file)
    _say(f"{writes.inserted} new failures, {writes.updated} corrected")


@app.command()
def train(
    settings: SettingsFile = None,
    home: Home = None,
    sensors: Sensors = None,
    local: Local = LOCAL_FILE,
    as_json: AsJson = False,
) -> None:
    """Train both models on what the tables hold, and set the alias champion."""
    workspace = _open(local, {"sensors": sensors}, settings, home)
    report = workspace.train()
    if as_json:
        print(json.dumps(asdict(report)))
        return
    for version in report.versions:
        _say(f"{version.name} version {version.version} is champion")
    for name, value in report.figures.items():
        _say(f"  {name} {value:.3f}")
    for note in report.notes:
        _say(f"  {note}")


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
    from sensor_streams.streams import streams_of

    arguments: dict[str, object] = {
        "trigger": trigger,
        "landing": landing,
        "checkpoints": checkpoints,
        "sensors": sensors,
        "max_files": max_files,
        "run": run,
        "attempt": attempt,
    }
    # All that can be wrong with what was asked for is told before Spark starts.
    streams_of(names or [])
    workspace = _open(local, arguments, settings, home, log_name=f"stream-{os.getpid()}")
    Path(workspace.settings.checkpoints).mkdir(parents=True, exist_ok=True)
    Watch(console, workspace).run(names or [], ", ".join(names or ["all eight"]))


@app.command()
def verify(
    low: From = None,
    high: To = None,
    only: Annotated[list[str] | None, typer.Option(help="check this table only (may be given again)")] = None,
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
    workspace = _open(local, {"sensors": sensors}, settings, home)
    fleet = workspace.fleet
    with errors.status("every table computed afresh and compared"):
        checks = check(workspace.catalog, fleet, workspace.load_model, begin, end, only or ())
        missing = left_out(workspace.catalog, only or ())
    differing = sum(c.differing for c in checks)
    if as_json:
        print(json.dumps({"differing": differing, "tables": [asdict(c) for c in checks], "left_out": missing}))
    else:
        table = Table("table", "rows", "differing")
        for c in checks:
            table.add_row(c.table, f"{c.rows:,}", f"{c.differing:,}")
        console.print(table)
        for c in checks:
            for example in c.examples:
                _say(f"{c.table}: {example}")
        for name, tables in missing.items():
            _say(f"{name} was left out: there is no table {', '.join(tables)}")
        _say(f"{differing} rows differ")
    if differing:
        raise typer.Exit(1)


@app.command()
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
    workspace = _open(local, {"sensors": sensors}, settings, home)
    fleet = workspace.fleet
    with _only_writer(workspace, name):
        model = None
        if kind is not None:
            champion = workspace.registry.champion(kind)
            if champion is None:
                raise ModelError(f"{name} cannot be rebuilt: no {kind} model has the alias champion; train first")
            model = workspace.load_model(kind, champion.version)
        writes = compute(workspace.catalog, fleet, name, begin, end, model)
    _say(f"{writes.inserted} rows added, {writes.updated} changed, {writes.deleted} removed")


@app.command()
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
    workspace = _open(local, asked, settings, home)
    fleet = workspace.fleet
    with errors.status("maintenance") as status:
        report = keep_in_order(
            workspace.catalog, workspace.settings, fleet, on_table=lambda table: status.update(f"table {table}")
        )
    if as_json:
        print(json.dumps(asdict(report)))
        return
    for line in report.lines():
        _say(line)


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
        workspace = _open(local, {"sensors": sensors}, home=home or Path(".local/demo"), log_name="demo")
        Demo(workspace, console).simulated()
    else:
        own = {"landing": str(folder), "sensors": sensors}
        where = home or own_home(folder)
        Demo(_open(local, own, home=where, log_name="demo"), console).own(known)


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
        _say(", ".join(f"{k} {v}" for k, v in found.items()))


def main(words: Sequence[str] | None = None) -> None:
    """Run a command. Only here is an error turned into an exit code.

    0 success, 1 it failed (verify: rows differ; preflight: findings), 2 wrong usage, 3 the machine, 4 preflight could
    not check something, 130 interrupted. What nobody but us can have caused is raised as it is.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    try:
        app(words)
    except SensorStreamsError as error:
        _end(str(error), error.exit_code)
    except OSError as error:
        if error.filename is None and error.errno not in _DISK_FULL:
            raise
        where = "the disk" if error.filename is None else error.filename
        _end(f"{where}: {error.strerror}", EnvironmentProblem.exit_code)
    except (Py4JError, PySparkException) as error:
        if _DISK_FULL_IN_JAVA not in str(error):
            raise
        _end(f"the disk: {_DISK_FULL_IN_JAVA}", EnvironmentProblem.exit_code)


def _end(message: str, code: int) -> None:
    errors.print(Text.assemble(("error:", "red"), " ", message), highlight=False, soft_wrap=True)
    raise SystemExit(code) from None


if __name__ == "__main__":
    main()
