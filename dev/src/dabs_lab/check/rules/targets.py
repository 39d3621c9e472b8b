"""Rule on streams of several targets that use the same storage."""

from collections.abc import Callable, Iterator, Sequence

from dabs_lab.check.checkpoint_paths import is_complete, normal_path, scope_of
from dabs_lab.check.declaration import Finding, Outcome, cannot_tell, rule_across_targets
from dabs_lab.check.stream_facts import runs_streams
from dabs_lab.check.views import TargetView, TaskView

_KINDS: tuple[tuple[str, str, Callable[[TaskView], Sequence[str] | None]], ...] = (
    ("checkpoints", "checkpoint", lambda task: task.streaming.checkpoints),
    ("writes", "table", lambda task: task.streaming.writes),
)


@rule_across_targets(
    id="D602",
    name="state-shared-by-targets",
    severity="error",
    title="A stream has the same checkpoint or table in two targets",
    reason=(
        "Both targets deploy the job. A run of one continues the checkpoint of the other, or writes its table: a test"
        " in development changes production."
    ),
    source=(
        "https://docs.databricks.com/aws/en/structured-streaming/production (a unique checkpoint for each query);"
        " https://docs.databricks.com/aws/en/dev-tools/bundles/deployment-modes"
    ),
    fix="Put catalog, schema or `${bundle.target}` into the path and the name.",
)
def state_shared_by_targets(targets: Sequence[TargetView]) -> Iterator[Outcome]:
    """Yield each task whose checkpoints or tables a task of an earlier target has too."""
    for field, kind, values_of in _KINDS:
        earlier: dict[str, list[TargetView]] = {}
        for target in targets:
            for task in target.tasks:
                if runs_streams(task):
                    yield from _shared(target, task, field, kind, values_of(task) or (), earlier)
            for task in target.tasks:
                for value in values_of(task) or ():
                    if runs_streams(task):
                        earlier.setdefault(normal_path(value), []).append(target)


def _shared(
    target: TargetView,
    task: TaskView,
    field: str,
    kind: str,
    values: Sequence[str],
    earlier: dict[str, list[TargetView]],
) -> Iterator[Outcome]:
    """Yield at most one outcome for a task: a finding before a doubt."""
    doubt = ""
    for value in values:
        for other in earlier.get(normal_path(value), ()):
            same = _same_storage(value, target, other)
            if same:
                place = task.streaming.places[field]
                yield Finding(
                    place, f"{kind} {value} of task {task.name(value)} is the same in {other.name} and {target.name}"
                )
                return
            if same is None:
                doubt = f"whether its {kind} is the same in {other.name} and {target.name}"
    if doubt:
        yield cannot_tell(task, doubt)


def _same_storage(value: str, target: TargetView, other: TargetView) -> bool | None:
    """Return whether a path or table means the same storage in two targets; None without their workspaces."""
    scope = scope_of(value)
    if not is_complete(value) or scope == "unknown":
        return None
    if scope == "everywhere":
        return True
    hosts = [_host(one) for one in (target, other)]
    if not all(hosts):
        return None
    # Workspaces may share a metastore, and so volumes and tables.
    return True if hosts[0] == hosts[1] else None if scope == "metastore" else False


def _host(target: TargetView) -> str:
    host = target.root.text_at("workspace", "host").rstrip("/").lower()
    # Examples name hosts such as your-workspace: each target may get another one.
    return host if is_complete(host) and "your" not in host else ""
