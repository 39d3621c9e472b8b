"""The command `run`: a job of the bundle, on this machine, as Databricks' Jobs service would run it."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dabs_lab.local_spark import check_java
from dabs_lab.runner.console import say
from dabs_lab.runner.local_config import LOCAL_FILE, absolute, load_local
from sensor_streams.durations import parse_duration, parse_time
from sensor_streams.errors import ConfigurationError, EnvironmentProblem
from sensor_streams_dev.bundle_options import bundle_of, kept, pairs
from sensor_streams_dev.options import Resolved


def run(
    job: Annotated[str, typer.Argument(help="the job's key in resources.jobs, such as single_task")],
    target: Annotated[str | None, typer.Option(help="target of the bundle; its default one unless given")] = None,
    folder: Annotated[Path | None, typer.Option("--input", help="your own files of readings")] = None,
    lasting: Annotated[str | None, typer.Option("--for", help="stop after this long: 10m, 90 s")] = None,
    until: Annotated[str | None, typer.Option(help="no run starts by itself from then on, ISO 8601")] = None,
    live: Annotated[bool, typer.Option("--live", help="by its own trigger, as if the target did not pause it")] = False,
    var: Annotated[list[str] | None, typer.Option(help="a variable of the bundle: key=value")] = None,
    param: Annotated[list[str] | None, typer.Option(help="a parameter of the job: key=value")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="an event a line, for programs")] = False,
    resolved: Resolved = None,
    home: Annotated[Path | None, typer.Option(help="keep tables, models and checkpoints under this folder")] = None,
    local: Annotated[Path, typer.Option("--local", help="local.yml beside databricks.yml")] = LOCAL_FILE,
) -> None:
    """Run a job of the bundle here: its own file, real Spark, one JVM for each cluster, one Python for each task.

    Ends with 0 when all went well, 1 when the job failed, 2 wrong use, 3 the machine, 130 interrupted.
    """
    begin = time.time()
    seconds, last = _seconds(lasting), None if until is None else parse_time(until, "--until")
    variables, parameters = pairs(var, "--var"), pairs(param, "--param")
    config = kept(load_local(local), home, folder)
    if folder is not None:
        if not folder.is_dir():
            raise ConfigurationError(f"--input {folder}: there is no such folder")
        config = config.with_volume("landing", absolute(folder))
    # What needs the SDK comes after what can be wrong without it: it takes a second to import.
    from dabs_lab.jobs import JobMachine, assumptions_of, job_spec
    from dabs_lab.jobs.dynamic_values import UnknownReference
    from dabs_lab.jobs.events import iso
    from dabs_lab.runner.display import JsonLines, Lines, Screen, summary, summary_object
    from dabs_lab.runner.name_mapping import NameMapping
    from dabs_lab.runner.runner import Runner
    from sensor_streams_dev.policies.job_files import broken_promises

    assumptions = assumptions_of(config.assumptions)
    bundle = bundle_of(config, target, variables, resolved=resolved)
    spec = job_spec(bundle, job)
    places = NameMapping.of(bundle, config)
    places.prepare(spec)
    paused = spec.paused and not live
    # By its trigger where it has one that is live; a time-table only when somebody says how long.
    by_itself = not paused and (spec.continuous is not None or last is not None or live)
    if last is not None and not by_itself:
        raise ConfigurationError(f"--until: job {job} starts no run by itself in target {bundle.target}: add --live")
    if live and spec.schedule is None and spec.continuous is None:
        raise ConfigurationError(f"--live: job {job} has neither a schedule nor is it continuous: leave it out")
    check_java()
    start = datetime.now(UTC)
    # Ids that no other start of this command has: a lease tells runs apart by them.
    machine = JobMachine(
        spec, start, first_id=int(begin * 1000), until=last, paused=not by_itself, assumptions=assumptions
    )
    console = Console(emoji=False)
    shown = JsonLines() if as_json else Screen(console) if console.is_terminal else Lines(console)
    policies = [f"policy: {line}" for line in broken_promises(bundle)]
    remarks = [problem.summary for problem in (*bundle.warnings, *bundle.notes)]
    notes = [*remarks, *spec.warnings, *policies]
    where = config.home
    if isinstance(shown, JsonLines):
        without = [f"{one.position}: {one.path}" for one in spec.no_effect]
        shown.line(
            {
                "at": iso(start),
                "event": "start",
                "job": job,
                "target": bundle.target,
                "home": str(where),
                "no_effect": [*without],
                "warnings": [*notes],
            }
        )
    else:
        say(console, f"job {job}, target {bundle.target}; tables, models and checkpoints under {where}")
        for note in notes:
            say(console, f"warning: {note}")
    try:
        with shown.showing():
            happened = Runner(machine, places, shown).run(None if by_itself else parameters, seconds)
    except UnknownReference as error:
        raise ConfigurationError(f"--param: {error}") from None
    if isinstance(shown, JsonLines):
        shown.line(summary_object(happened, iso(datetime.now(UTC))))
    else:
        for line in summary(happened):
            say(console, line)
        if spec.no_effect:
            say(console, "no effect here:")
            for one in spec.no_effect:
                say(console, f"  {one.path} ({one.position}): {one.reason}")
    if happened.exit_code == EnvironmentProblem.exit_code:
        raise EnvironmentProblem(happened.machine)
    raise typer.Exit(happened.exit_code)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        # Minutes are min elsewhere; here m is what one types.
        found = parse_duration(re.sub(r"(?<=\d)m$", " min", text.strip()))
    except ValueError as error:
        raise ConfigurationError(f"--for {error}") from None
    return found.total_seconds() if isinstance(found, timedelta) else None
