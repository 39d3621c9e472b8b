"""The command `preflight`: what would lose data or fail, before a run or a deployment does."""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dabs_lab.local_spark import check_java
from dabs_lab.runner.local_config import LOCAL_FILE, LocalConfig, absolute, load_local
from dabs_lab.runner.options import Resolved, bundle_of, pairs
from sensor_streams.errors import ConfigurationError
from sensor_streams.fleet import load_fleet
from sensor_streams.preflight.checks.registry import CHECKS
from sensor_streams.preflight.findings import Report, Unchecked
from sensor_streams.preflight.waivers import ACCEPTED_FILE, Acceptance, judge, load_accepted
from sensor_streams_dev.homes import chosen_home

if TYPE_CHECKING:
    from dabs_lab.bundle import Bundle
    from sensor_streams.preflight.facts import Facts
    from sensor_streams_dev.preflight.collect_workspace import WorkspaceCollector
    from sensor_streams_dev.preflight.job_settings import Bound
    from sensor_streams_dev.preflight.terminal_report import Shown

# Seconds that a model registry gets to answer.
_REGISTRY = 30.0
# Said of every look from outside: what was not looked at is no pass.
_NOT_FROM_OUTSIDE = "not looked at from outside: checkpoints, and what the cluster can write. Each task looks itself"


def preflight(
    job: Annotated[str, typer.Argument(help="the job's key in resources.jobs, such as single_task")],
    target: Annotated[str | None, typer.Option(help="target of the bundle; its default one unless given")] = None,
    var: Annotated[list[str] | None, typer.Option(help="a variable of the bundle: key=value")] = None,
    in_workspace: Annotated[
        bool, typer.Option("--workspace/--here", help="look at the workspace, or at what this machine has (default)")
    ] = False,
    profile: Annotated[str | None, typer.Option(help="profile of the CLI's configuration; means --workspace")] = None,
    warehouse: Annotated[
        str | None, typer.Option(help="id of a SQL warehouse that reads the tables; means --workspace")
    ] = None,
    probe_write: Annotated[
        bool, typer.Option("--probe-write", help="let credentials write and delete a test file; means --workspace")
    ] = False,
    accept: Annotated[Path | None, typer.Option(help="file of accepted findings; preflight.yml if it is there")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one object, for programs")] = False,
    resolved: Resolved = None,
    home: Annotated[Path | None, typer.Option(help="look at what is kept under this folder")] = None,
    landing: Annotated[Path | None, typer.Option(help="folder in which files arrive, as `stream` has it")] = None,
    local: Annotated[Path, typer.Option("--local", help="local.yml beside databricks.yml")] = LOCAL_FILE,
) -> None:
    """Find what would lose data or fail before the first batch does. Changes nothing.

    Ends with 0 healthy, 1 findings, 2 wrong use, 3 the machine, 4 something could not be checked.
    """
    variables = pairs(var, "--var")
    elsewhere = in_workspace or probe_write or profile is not None or warehouse is not None
    if elsewhere and home is not None:
        raise ConfigurationError("--home is about this machine: leave it out, or look --here")
    if elsewhere and landing is not None:
        raise ConfigurationError("--landing is about this machine: leave it out, or look --here")
    config = chosen_home(load_local(local), home, None)
    if landing is not None:
        if not landing.is_dir():
            raise ConfigurationError(f"--landing {landing}: there is no such folder")
        config = config.with_volume("landing", absolute(landing))
    # What needs the SDK, MLflow or Spark comes after what can be wrong without them.
    from sensor_streams_dev.preflight.terminal_report import JsonObject, Lines, Screen

    acceptances = _acceptances(config, accept)
    console = Console(emoji=False)
    shown: Shown = JsonObject() if as_json else Screen(console) if console.is_terminal else Lines(console)
    looking = _PreflightRun(job, target, variables, config, acceptances, shown, resolved)
    with shown.showing():
        if elsewhere:
            from sensor_streams_dev.preflight.collect_workspace import WorkspaceCollector

            report, head = looking.in_workspace(WorkspaceCollector(profile, warehouse, probe_write))
        else:
            report, head = looking.here()
    shown.report(report, head)
    raise typer.Exit(report.exit_code)


def _acceptances(config: LocalConfig, file: Path | None) -> Sequence[Acceptance]:
    beside = config.folder / ACCEPTED_FILE
    if file is None:
        return load_accepted(beside, CHECKS) if beside.exists() else []
    return load_accepted(file, CHECKS)


@dataclass(frozen=True)
class _PreflightRun:
    """One look at a job: what is asked for, and what is told while it looks."""

    job: str
    target: str | None
    variables: Mapping[str, str]
    config: LocalConfig
    acceptances: Sequence[Acceptance]
    shown: "Shown"
    resolved: str | None = None

    def here(self) -> tuple[Report, Mapping[str, str]]:
        """At this machine: with its names in the place of the deployment's, and the settings that `run` would give.

        The report, and what of the look programs are told beside it.
        """
        from dabs_lab.jobs import job_spec
        from dabs_lab.runner.name_mapping import NameMapping
        from sensor_streams.preflight.collect_session import session_facts
        from sensor_streams_dev.local_home import LocalHome
        from sensor_streams_dev.preflight.job_settings import bound_of

        bundle = bundle_of(self.config, self.target, self.variables, resolved=self.resolved)
        names = NameMapping.of(bundle, self.config)
        bounds = bound_of(
            job_spec(bundle, self.job),
            names.argument,
            lambda task: {**names.environment(os.environ), **task.cluster.environment},
        )
        check_java()

        def facts(bound: "Bound") -> "Facts":
            workspace = LocalHome(self.config, bound.settings, "preflight")
            self.shown.doing("starting Spark, which takes most of the time")
            begin = time.monotonic()
            catalog = workspace.catalog
            seconds = time.monotonic() - begin
            self.shown.doing(f"Spark is up after {seconds:.0f} s; looking at the tables of {', '.join(bound.tasks)}")
            return session_facts(catalog, bound.settings, bound.streams, workspace.fleet, _REGISTRY, try_models=True)

        return self._look(bundle, bounds, facts, []), self._head(bundle.target, "here", home=str(self.config.home))

    def in_workspace(self, outside: "WorkspaceCollector") -> tuple[Report, Mapping[str, str]]:
        """At the workspace, from outside; the same."""
        from dabs_lab.jobs import job_spec
        from dabs_lab.runner.name_mapping import NameMapping
        from sensor_streams.preflight.facts import Unknown
        from sensor_streams_dev.preflight.job_settings import bound_of

        self.shown.doing("asking the workspace")
        user = outside.caller_name()
        if isinstance(user, Unknown):
            # Names of a development target hold the user's: nothing can be asked for without it.
            unchecked = [Unchecked("preflight", "workspace", user.because)]
            return Report([], unchecked, [], {}, 0.0), self._head(self.target or "", "workspace")
        bundle = bundle_of(self.config, self.target, self.variables, user, self.resolved)
        names = NameMapping.of(bundle, self.config)
        bounds = bound_of(job_spec(bundle, self.job), str, lambda task: task.cluster.environment)
        principal = run_as(bundle, self.job) or user

        def facts(bound: "Bound") -> "Facts":
            fleet = load_fleet(names.path(bound.settings.sensors))
            return outside.facts(bound.settings, bound.streams, fleet, principal, _REGISTRY)

        return self._look(bundle, bounds, facts, [_NOT_FROM_OUTSIDE]), self._head(bundle.target, "workspace")

    def _look(
        self,
        bundle: "Bundle",
        bounds: "Sequence[Bound]",
        facts: "Callable[[Bound], Facts]",
        notes: Sequence[str],
    ) -> Report:
        from sensor_streams.preflight.families import FAMILIES
        from sensor_streams.preflight.run_checks import run_checks
        from sensor_streams.preflight.unchecked import of_facts
        from sensor_streams_dev.policies.job_files import broken_policies

        begin = time.monotonic()
        checked = []
        for bound in bounds:
            found = facts(bound)
            checked.append(run_checks(found, FAMILIES, of_facts(found), self.shown.family))
        findings = [finding for one in checked for finding in one.findings]
        unchecked = [missing for one in checked for missing in one.unchecked]
        families: Counter[str] = Counter()
        for one in checked:
            families.update(one.families)
        judged = judge(findings, unchecked, self.acceptances, datetime.now(UTC).date(), families)
        said = [*notes, *judged.notes, *(f"policy: {line}" for line in broken_policies(bundle))]
        said += [f"warning: {problem.summary}" for problem in bundle.warnings]
        seconds = time.monotonic() - begin
        return Report(judged.findings, unchecked, judged.accepted, families, seconds, said)

    def _head(self, target: str, where: str, **more: str) -> Mapping[str, str]:
        return {"job": self.job, "target": target, "where": where, **more}


def run_as(bundle: "Bundle", job: str) -> str | None:
    """As whom a job runs, where its files say so; else it is who deploys it."""
    named = bundle.written["jobs"][job].get("run_as", {})
    found = named.get("service_principal_name") or named.get("user_name")
    return None if found is None else str(found)
