"""Policies that are rules of the linter: they hold for any bundle, and here also in development mode."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from dabs_lab.bundle.reader import Bundle
from dabs_lab.check.bundle_views import LoadedBundle, views_of
from dabs_lab.check.engine import ReportedFinding, check_loaded
from dabs_lab.jobs.job_spec import NotificationKind
from sensor_streams.streams import TASKS, streams_of
from sensor_streams_dev.policies.policy_file import PolicyFile

_RULES = (
    "continuous-with-dependencies",
    "continuous-with-retries",
    "several-triggers",
    "two-live-jobs-on-one-stream",
    "task-behind-endless-task",
    "endless-tasks-on-one-cluster",
    "retries-without-interval",
    "timeout-on-endless-stream",
    "two-streams-on-one-checkpoint",
    "concurrent-runs-of-a-stream",
    "parameter-without-effect",
)
# Rules that policies.yml switches off.
_AUTOSCALE, _SPOT_DRIVER = "autoscaling-under-streams", "spot-driver-under-streams"
_HEALTH = "stream-without-health-rule"


def broken_rules(bundle: Bundle, jobs: Collection[str], file: PolicyFile) -> Iterator[str]:
    """Yield one line for each finding of these rules in some jobs: file:line, job, what is wrong, what to do."""
    optional = _optional(file)
    for found in check_loaded(_views(bundle), (*_RULES, *optional)).findings:
        job = _job(found, jobs)
        if job:
            position, advice = found.place.position, found.rule.fix.rstrip(".")
            if found.rule.name in optional:
                advice += f", or {file.change(*optional[found.rule.name])}"
            what = found.message if f"job {job}" in found.message else f"job {job}: {found.message}"
            yield f"{position.file}:{position.line}: {what}. Rule {found.rule.id}: {advice}"


def _optional(file: PolicyFile) -> Mapping[str, tuple[str, ...]]:
    """Return the rules that policies.yml switches on, with the field that does it."""
    policies = file.policies
    fields = {
        _AUTOSCALE: (not policies.clusters.autoscale, ("clusters", "autoscale")),
        _SPOT_DRIVER: (not policies.clusters.spot_driver, ("clusters", "spot_driver")),
        _HEALTH: (
            NotificationKind.BACKLOG in policies.notifications.events_of_streams,
            ("notifications", "events_of_streams"),
        ),
    }
    return {rule: field for rule, (is_on, field) in fields.items() if is_on}


def _views(bundle: Bundle) -> LoadedBundle:
    """Return the view of the bundle with the groups of streams, and without the exceptions for development mode."""
    loaded = views_of(bundle)
    groups: dict[str, tuple[str, ...]] = {task: tuple(stream.name for stream in streams_of([task])) for task in TASKS}
    (view,) = loaded.targets
    settings = replace(view.settings, stream_groups=groups | dict(view.settings.stream_groups))
    return replace(loaded, targets=(replace(view, mode="", settings=settings),))


def _job(found: ReportedFinding, jobs: Collection[str]) -> str:
    """Return the job of a finding, or an empty text for another place."""
    return next((key for key in jobs if f"{found.place.path}.".startswith(f"resources.jobs.{key}.")), "")
