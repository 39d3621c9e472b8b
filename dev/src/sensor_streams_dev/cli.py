"""The command line: `sensor-streams …`."""

import errno
import json
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from rich.console import Console
from rich.text import Text

from dabs_lab.check.command import check
from dabs_lab.errors import DabsLabError
from dabs_lab.runner.console import say
from dabs_lab.runner.local_config import LOCAL_FILE
from sensor_streams.durations import parse_time
from sensor_streams.errors import ConfigurationError, FleetChangedError, MachineError, SensorStreamsError
from sensor_streams_dev.command_options import (
    AsJson,
    Home,
    Landing,
    LoadHistory,
    Local,
    Sensors,
    SettingsFile,
    open_home,
)
from sensor_streams_dev.homes import DEMO, home_of_folder
from sensor_streams_dev.lab.command import app as lab_app
from sensor_streams_dev.preflight.command import preflight
from sensor_streams_dev.run_command import run
from sensor_streams_dev.spark_errors import explain_spark_error
from sensor_streams_dev.table_commands import erase, maintain, rebuild, reread, verify

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

app.command()(run)
app.command()(check)
app.command()(preflight)
app.command()(verify)
app.command()(rebuild)
app.command()(reread)
app.command()(maintain)
app.command()(erase)
app.add_typer(lab_app, name="lab")

# Names and paths of the user are printed unchanged: `:word:` is not an emoji, [word] is not a colour.
console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)


def _say(text: str) -> None:
    say(console, text)


def _later(begin: datetime, option: str, days: float = 0, hours: float = 0) -> datetime:
    try:
        return begin + timedelta(days=days, hours=hours)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"{option} {days or hours}: the resulting time is out of range") from None


@app.command()
def simulate(
    days: Annotated[float, typer.Option(help="how many days of readings")] = 3.0,
    start: Annotated[str, typer.Option(help="when the first file lands, ISO 8601")] = "2026-01-01",
    origin: Annotated[str | None, typer.Option(help="when the fleet began to run; default: --start")] = None,
    devices: Annotated[int, typer.Option(min=1, help="devices per type")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="the same seed gives the same fleet")] = 1,
    files_every: Annotated[float, typer.Option(help="hours per file")] = 6.0,
    truth: Annotated[Path | None, typer.Option(help="folder for the simulator's ground truth")] = None,
    failures: Annotated[Path | None, typer.Option(help="file for the known failures (JSON lines)")] = None,
    landing: Landing = None,
    sensors: Sensors = None,
    local: Local = LOCAL_FILE,
) -> None:
    """Write files of a simulated fleet with wear, faults, gaps, a day offline, a wrong clock and malformed lines."""
    from sensor_streams_dev.simulate import Simulation
    from sensor_streams_dev.simulate import simulate as write

    begin = parse_time(start, "--start")
    end = _later(begin, "--days", days=days)
    workspace = open_home(local, {"landing": landing, "sensors": sensors})
    simulation = Simulation(
        workspace.fleet,
        seed=seed,
        origin=begin if origin is None else parse_time(origin, "--origin"),
        devices=devices,
        files_every=_later(begin, "--files-every", hours=files_every) - begin,
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
    """Add known failures to the table that training reads."""
    from sensor_streams.failures import load_failures

    workspace = open_home(local, None, settings, home, has_tables=True)
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
    """Train both models on the tables and set the alias champion."""
    workspace = open_home(local, {"sensors": sensors}, settings, home, has_tables=True)
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
    names: Annotated[list[str] | None, typer.Argument(help="tasks or streams; default: all eight")] = None,
    trigger: Annotated[str | None, typer.Option(help="available-now, or an interval such as 30 s")] = None,
    landing: Landing = None,
    checkpoints: Annotated[str | None, typer.Option(help="folder of the checkpoints")] = None,
    sensors: Sensors = None,
    max_files: Annotated[int | None, typer.Option(help="maximum number of files per batch")] = None,
    load_history: LoadHistory = None,
    run: Annotated[str | None, typer.Option(help="id of the run")] = None,
    attempt: Annotated[int | None, typer.Option(help="attempt of the run")] = None,
    settings: SettingsFile = None,
    home: Home = None,
    local: Local = LOCAL_FILE,
) -> None:
    """Run streams on this machine until their input is processed; with an interval as trigger, until stopped."""
    from sensor_streams.streams import streams_of
    from sensor_streams_dev.watch import Watch

    arguments: dict[str, object] = {
        "trigger": trigger,
        "landing": landing,
        "checkpoints": checkpoints,
        "sensors": sensors,
        "max_files": max_files,
        "load_history": load_history,
        "run": run,
        "attempt": attempt,
    }
    # Wrong arguments fail before Spark starts.
    streams_of(names or [])
    workspace = open_home(local, arguments, settings, home, log_name=f"stream-{os.getpid()}")
    Path(workspace.settings.checkpoints).mkdir(parents=True, exist_ok=True)
    Watch(console, workspace).run(names or [], ", ".join(names or ["all eight"]))


@app.command()
def demo(
    folder: Annotated[Path | None, typer.Option("--input", help="folder of your own readings")] = None,
    sensors: Sensors = None,
    known: Annotated[Path | None, typer.Option("--failures", help="known failures of your own fleet")] = None,
    load_history: LoadHistory = None,
    home: Home = None,
    local: Local = LOCAL_FILE,
) -> None:
    """Run all eight streams on a simulated fleet, or on your own files with --input and --sensors."""
    from sensor_streams_dev.demo import Demo

    if folder is None:
        if load_history:
            raise ConfigurationError("--load-history needs --input, the folder of your own readings")
        workspace = open_home(local, {"sensors": sensors}, home=home or Path(".local/demo"), log_name="demo")
        Demo(workspace, console).simulated()
    else:
        own = {"landing": str(folder), "sensors": sensors, "load_history": load_history}
        where = home or home_of_folder(folder)
        Demo(open_home(local, own, home=where, log_name="demo"), console).own(known)


@app.command()
def cmapss(
    data: Annotated[Path, typer.Option(help="folder with train_FD001.txt, test_FD001.txt, RUL_FD001.txt")],
    name: Annotated[str, typer.Option("--set", help="FD001 to FD004")] = "FD001",
    home: Home = None,
    local: Local = LOCAL_FILE,
) -> None:
    """Run all eight streams on NASA's turbofan engines and print the error of the life estimates."""
    from sensor_streams_dev.cmapss import Turbofan

    where = home or Path(".local/cmapss") / name
    Turbofan(data, name, where, local, console).run()


@app.command()
def doctor(
    quiet: Annotated[bool, typer.Option(help="print nothing on success")] = False,
    faster: Annotated[
        bool, typer.Option("--faster-starts", help="also write a file of Spark's classes, so that Java starts faster")
    ] = False,
) -> None:
    """Start Spark with Delta once and print the versions of Python, Java and Spark."""
    from dabs_lab.class_archive import finish_recording, load_usual_classes, recording_option
    from dabs_lab.local_spark import local_session

    log, options = Path(".local/log/doctor.log"), recording_option() if faster else ""
    spark = local_session("doctor", log, cores=1, memory="1g", java_options=options)
    found: dict[str, Any] = {
        "python": sys.version.split()[0],
        "java": spark._jvm.System.getProperty("java.version") if spark._jvm else "?",
        "spark": spark.version,
    }
    if faster:
        load_usual_classes(spark)
        found["faster starts"] = "yes" if finish_recording(spark) else "no"
    else:
        spark.stop()
    if not quiet:
        _say(", ".join(f"{k} {v}" for k, v in found.items()))


def main(words: Sequence[str] | None = None) -> None:
    """Run a command and turn its errors into an exit code.

    0 success, 1 failure (verify: rows differ; preflight, check: findings), 2 wrong usage, 3 problem of the machine,
    4 preflight could not check something, 130 interrupted. Internal errors keep their traceback.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    # py4j also logs a traceback to the root logger when a stopped driver no longer answers.
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: "py4j" not in Path(record.pathname).parts)
    try:
        app(words)
    except FleetChangedError as error:
        options = _table_options(sys.argv[1:] if words is None else words)
        _end(str(error).replace(error.COMMAND, error.COMMAND + options), error.exit_code)
    except (SensorStreamsError, DabsLabError) as error:
        _end(str(error), error.exit_code)
    except OSError as error:
        if error.filename is None and error.errno not in _DISK_FULL:
            raise
        where = "the disk" if error.filename is None else error.filename
        _end(f"{where}: {error.strerror}", MachineError.exit_code)
    except (Py4JError, PySparkException) as error:
        explained = explain_spark_error(error)
        if explained is None:
            raise
        _end(str(explained), explained.exit_code)


def _table_options(words: Sequence[str]) -> str:
    """Return the options of a command that select its tables, to repeat them in another command."""
    found: dict[str, str] = {}
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name in ("--home", "--settings", "--sensors", "--local", "--input"):
            found[name] = value if equals else following
    folder = found.pop("--input", None)
    if words[:1] == ["demo"]:
        found.setdefault("--home", str(DEMO if folder is None else home_of_folder(Path(folder))))
    return "".join(f" {name} {shlex.quote(value)}" for name, value in found.items())


def _end(message: str, code: int) -> None:
    errors.print(Text.assemble(("error:", "red"), " ", message), highlight=False, soft_wrap=True)
    raise SystemExit(code) from None


if __name__ == "__main__":
    main()
