"""Run a job of a bundle on this machine as Databricks' Jobs service would, and display it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console

from dabs_lab.bundle import Bundle
from dabs_lab.errors import ConfigurationError, MachineError
from dabs_lab.jobs import JobMachine, JobSpec, assumptions_of, job_spec
from dabs_lab.jobs.dynamic_values import UnknownReferenceError
from dabs_lab.jobs.events import iso
from dabs_lab.local_spark import check_java
from dabs_lab.runner.console import say
from dabs_lab.runner.display import JsonLines, Lines, Screen, summary, summary_object
from dabs_lab.runner.local_config import LocalConfig
from dabs_lab.runner.name_mapping import NameMapping
from dabs_lab.runner.options import bundle_of
from dabs_lab.runner.runner import Runner


@dataclass(frozen=True)
class RunRequest:
    """Options of a run. seconds: stop after this long. until: the trigger starts no run from then on.

    live: follow the job's trigger, also if the target pauses it. parameters: of the job.
    resolved: file with the output of `databricks bundle validate -o json`, `-` for standard input.
    """

    job: str
    target: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    until: datetime | None = None
    live: bool = False
    as_json: bool = False
    resolved: str | None = None


def no_warnings(_: Bundle) -> Sequence[str]:
    """Return no warnings: for bundles without policies of their own."""
    return ()


def run_job(config: LocalConfig, request: RunRequest, warnings: Callable[[Bundle], Sequence[str]] = no_warnings) -> int:
    """Run the job until it ends, is stopped, or its time is over; return the exit code.

    0 success, 1 the job failed, 130 interrupted. warnings: shown before the start, in addition to those of the bundle.
    Raises ConfigurationError for wrong use, BundleError for a bundle that cannot be read, MachineError when this
    machine cannot run the job.
    """
    begin = time.time()
    assumptions = assumptions_of(config.assumptions)
    bundle = bundle_of(config, request.target, request.variables, resolved=request.resolved)
    spec = job_spec(bundle, request.job)
    by_trigger = _by_trigger(spec, request, bundle.target)
    names = NameMapping.of(bundle, config)
    names.prepare(spec)
    check_java()
    start = datetime.now(UTC)
    # Ids are unique across commands: programs use them as keys.
    first_id = int(begin * 1000)
    machine = JobMachine(
        spec, start, first_id=first_id, until=request.until, paused=not by_trigger, assumptions=assumptions
    )
    console = Console(emoji=False)
    display = JsonLines() if request.as_json else Screen(console) if console.is_terminal else Lines(console)
    remarks = [problem.summary for problem in (*bundle.warnings, *bundle.notes)]
    notes = [*remarks, *spec.warnings, *warnings(bundle)]
    if isinstance(display, JsonLines):
        without = [f"{one.position}: {one.path}" for one in spec.no_effect]
        head = {"at": iso(start), "event": "start", "job": request.job, "target": bundle.target}
        display.line({**head, "home": str(config.home), "no_effect": [*without], "warnings": [*notes]})
    else:
        say(console, f"job {request.job}, target {bundle.target}; everything is stored under {config.home}")
        for note in notes:
            say(console, f"warning: {note}")
    try:
        with display.open():
            state = Runner(machine, names, display).run(None if by_trigger else request.parameters, request.seconds)
    except UnknownReferenceError as error:
        raise ConfigurationError(f"--param: {error}") from None
    if isinstance(display, JsonLines):
        display.line(summary_object(state, iso(datetime.now(UTC))))
    else:
        for line in summary(state):
            say(console, line)
        if spec.no_effect:
            say(console, "no effect here:")
            for one in spec.no_effect:
                say(console, f"  {one.path} ({one.position}): {one.reason}")
    if state.exit_code == MachineError.exit_code:
        raise MachineError(state.machine)
    return state.exit_code


def _by_trigger(spec: JobSpec, request: RunRequest, target: str) -> bool:
    """Return True if the job's trigger starts the runs. A schedule also needs --until or --live."""
    paused = spec.paused and not request.live
    by_trigger = not paused and (spec.continuous is not None or request.until is not None or request.live)
    if request.until is not None and not by_trigger:
        raise ConfigurationError(f"--until: job {request.job} starts no run by itself in target {target}: add --live")
    if request.live and spec.schedule is None and spec.continuous is None:
        raise ConfigurationError(f"--live: job {request.job} has neither a schedule nor is it continuous: leave it out")
    return by_trigger
