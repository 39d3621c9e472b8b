"""The command `preflight`: find problems before a run or a deployment."""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from sensor_streams.preflight.accepted_findings import ACCEPTED_FILE, Acceptance, apply_acceptances, load_accepted
from sensor_streams.preflight.findings import Report, Unchecked
from sensor_streams_dev.homes import chosen_home
from sensor_streams_dev.preflight.checks import CHECKS

if TYPE_CHECKING:
    from dabs_lab.bundle import Bundle
    from sensor_streams.preflight.facts import Facts
    from sensor_streams_dev.preflight.collect_workspace import WorkspaceCollector
    from sensor_streams_dev.preflight.job_settings import JobStreams
    from sensor_streams_dev.preflight.terminal_report import Output

# Timeout of the model registry, in seconds.
_REGISTRY_SECONDS = 30.0
_NOT_IN_WORKSPACE = "--workspace does not check checkpoints and table features: each task checks them when it starts"


def preflight(
    job: Annotated[str, typer.Argument(help="the job's key in resources.jobs, such as single_task")],
    target: Annotated[str | None, typer.Option(help="target of the bundle; its default one unless given")] = None,
    var: Annotated[list[str] | None, typer.Option(help="a variable of the bundle: key=value")] = None,
    in_workspace: Annotated[
        bool, typer.Option("--workspace/--here", help="check the workspace, or this machine (default)")
    ] = False,
    profile: Annotated[str | None, typer.Option(help="profile of the CLI's configuration; implies --workspace")] = None,
    warehouse: Annotated[
        str | None, typer.Option(help="id of a SQL warehouse that reads the tables; implies --workspace")
    ] = None,
    probe_write: Annotated[
        bool, typer.Option("--probe-write", help="let credentials write and delete a test file; implies --workspace")
    ] = False,
    accept: Annotated[Path | None, typer.Option(help="file of accepted findings; default: preflight.yml")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    resolved: Resolved = None,
    home: Annotated[Path | None, typer.Option(help="check the tables below this folder")] = None,
    landing: Annotated[Path | None, typer.Option(help="landing folder, as for `stream`")] = None,
    local: Annotated[Path, typer.Option("--local", help="local.yml next to databricks.yml")] = LOCAL_FILE,
) -> None:
    """Find problems before the first batch does. Changes nothing.

    Exit codes: 0 healthy, 1 findings, 2 wrong use, 3 the machine is not set up, 4 a check had no answer.
    """
    variables = pairs(var, "--var")
    check_workspace = in_workspace or probe_write or profile is not None or warehouse is not None
    for option, value in (("--home", home), ("--landing", landing)):
        if check_workspace and value is not None:
            raise ConfigurationError(f"{option} is for this machine: leave it out, or use --here")
    config = chosen_home(load_local(local), home, None)
    if landing is not None:
        if not landing.is_dir():
            raise ConfigurationError(f"--landing {landing}: this folder does not exist")
        config = config.with_volume("landing", absolute(landing))
    # Slow imports (the SDK, MLflow, Spark) come after the checks of the options.
    from sensor_streams_dev.preflight.terminal_report import JsonObject, Lines, Screen

    acceptances = _acceptances(config, accept)
    console = Console(emoji=False)
    output: Output = JsonObject() if as_json else Screen(console) if console.is_terminal else Lines(console)
    run = _PreflightRun(job, target, variables, config, acceptances, output, resolved)
    with output.open():
        if check_workspace:
            from sensor_streams_dev.preflight.collect_workspace import WorkspaceCollector

            report, head = run.in_workspace(WorkspaceCollector(profile, warehouse, probe_write))
        else:
            report, head = run.here()
    output.report(report, head)
    raise typer.Exit(report.exit_code)


def _acceptances(config: LocalConfig, file: Path | None) -> Sequence[Acceptance]:
    default = config.folder / ACCEPTED_FILE
    if file is None and not default.exists():
        return []
    return load_accepted(file or default, CHECKS)


@dataclass(frozen=True)
class _PreflightRun:
    """One preflight of a job, with its options and output."""

    job: str
    target: str | None
    variables: Mapping[str, str]
    config: LocalConfig
    acceptances: Sequence[Acceptance]
    output: "Output"
    resolved: str | None = None

    def here(self) -> tuple[Report, Mapping[str, str]]:
        """Check this machine, with the names and settings that `run` uses.

        Returns the report, and the first fields of the JSON object.
        """
        from dabs_lab.jobs import job_spec
        from dabs_lab.runner.name_mapping import NameMapping
        from sensor_streams.preflight.collect_session import session_facts
        from sensor_streams_dev.local_home import LocalHome
        from sensor_streams_dev.preflight.job_settings import job_streams

        bundle = bundle_of(self.config, self.target, self.variables, resolved=self.resolved)
        names = NameMapping.of(bundle, self.config)
        groups = job_streams(
            job_spec(bundle, self.job),
            names.argument,
            lambda task: {**names.environment(os.environ), **task.cluster.environment},
        )
        check_java()

        def facts(group: "JobStreams") -> "Facts":
            home = LocalHome(self.config, group.settings, "preflight")
            self.output.step("starting Spark, which takes most of the time")
            start = time.monotonic()
            catalog = home.catalog
            seconds = time.monotonic() - start
            self.output.step(f"Spark started in {seconds:.0f} s; checking the tables of {', '.join(group.tasks)}")
            return session_facts(catalog, group.settings, group.streams, home.fleet, _REGISTRY_SECONDS, try_models=True)

        return self._run(bundle, groups, facts, []), self._head(bundle.target, "here", home=str(self.config.home))

    def in_workspace(self, collector: "WorkspaceCollector") -> tuple[Report, Mapping[str, str]]:
        """Check the workspace. Returns the same as `here`."""
        from dabs_lab.jobs import job_spec
        from dabs_lab.runner.name_mapping import NameMapping
        from sensor_streams.preflight.facts import Unknown
        from sensor_streams_dev.preflight.job_settings import job_streams

        self.output.step("querying the workspace")
        user = collector.caller_name()
        if isinstance(user, Unknown):
            # The names in development mode contain the user's name, so nothing can be queried.
            unchecked = [Unchecked("preflight", "workspace", user.because)]
            return Report([], unchecked, {}), self._head(self.target or "", "workspace")
        bundle = bundle_of(self.config, self.target, self.variables, user, self.resolved)
        names = NameMapping.of(bundle, self.config)
        groups = job_streams(job_spec(bundle, self.job), str, lambda task: task.cluster.environment)
        principal = run_as(bundle, self.job) or user

        def facts(group: "JobStreams") -> "Facts":
            fleet = load_fleet(names.path(group.settings.sensors))
            return collector.facts(group.settings, group.streams, fleet, principal, _REGISTRY_SECONDS)

        return self._run(bundle, groups, facts, [_NOT_IN_WORKSPACE]), self._head(bundle.target, "workspace")

    def _run(
        self,
        bundle: "Bundle",
        groups: "Sequence[JobStreams]",
        facts: "Callable[[JobStreams], Facts]",
        notes: Sequence[str],
    ) -> Report:
        from sensor_streams.preflight.run_checks import run_checks
        from sensor_streams_dev.policies.job_files import broken_policies
        from sensor_streams_dev.preflight.workspace_facts import unchecked_in_workspace

        start = time.monotonic()
        # First, because a mistake in policies.yml is an error.
        policies = [f"policy: {line}" for line in broken_policies(bundle)]
        reports = []
        for group in groups:
            found = facts(group)
            reports.append(run_checks(found, unchecked_in_workspace(found), self.output.family))
        findings = [finding for one in reports for finding in one.findings]
        unchecked = [missing for one in reports for missing in one.unchecked]
        objects: Counter[str] = Counter()
        for one in reports:
            objects.update(one.families)
        report = apply_acceptances(
            Report(findings, unchecked, objects, notes=notes), self.acceptances, datetime.now(UTC).date()
        )
        warnings = [f"warning: {problem.summary}" for problem in bundle.warnings]
        return replace(report, notes=[*report.notes, *policies, *warnings], seconds=time.monotonic() - start)

    def _head(self, target: str, where: str, **more: str) -> Mapping[str, str]:
        return {"job": self.job, "target": target, "where": where, **more}


def run_as(bundle: "Bundle", job: str) -> str | None:
    """Return the identity in the job's `run_as`. None: the job runs as the user who deploys it."""
    named = bundle.resources_without_nulls["jobs"][job].get("run_as", {})
    found = named.get("service_principal_name") or named.get("user_name")
    return None if found is None else str(found)
