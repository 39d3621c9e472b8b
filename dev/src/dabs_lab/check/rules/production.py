"""Rules on targets for production: one copy, in a folder that others cannot write, with an identity of its own.

A target such as dev with the mode production is not checked: the mode gives it names without a prefix.
"""

from collections.abc import Iterator, Sequence

from dabs_lab.bundle.modes import PRODUCTION
from dabs_lab.bundle.workspace_paths import is_principal
from dabs_lab.bundle.yaml_nodes import Node
from dabs_lab.check.declaration import Finding, Outcome, rule, rule_across_targets
from dabs_lab.check.places import Place, place_at
from dabs_lab.check.stream_facts import is_production
from dabs_lab.check.views import TargetView

_MODES = "https://docs.databricks.com/aws/en/dev-tools/bundles/deployment-modes"
_USER = "${workspace.current_user."
_SHARED = ("/Workspace/Shared/", "/Shared/")


@rule(
    id="D804",
    name="production-copy-for-each-user",
    severity="warning",
    title="Each user who deploys a production target gets a copy of its own",
    reason=(
        "Without a fixed `workspace.root_path`, the state of the deployment is stored in the folder of the user who"
        " deploys. A second user deploys all jobs a second time, and both copies run. The CLI refuses a target without"
        " root path if a person deploys it and not all jobs have `run_as`; it accepts a service principal."
    ),
    source=_MODES,
    fix="Set `workspace.root_path` of the target to one folder, for example the one of a service principal.",
)
def production_copy_for_each_user(target: TargetView) -> Iterator[Outcome]:
    """Yield the root path of a production target, if it depends on the user."""
    if not is_production(target.name, target.mode) or target.resolved:
        return
    node = target.root.get("workspace", "root_path")
    written = _written_root_path(target)
    if node is None or not node.positions:
        yield Finding(_target_place(target), "root_path is not set: each user who deploys gets a copy")
    elif _of_deployer(written):
        what = "root_path contains the user who deploys: each one gets a copy"
        yield Finding(target.at("workspace", "root_path"), what)


@rule(
    id="D805",
    name="production-in-shared-folder",
    severity="warning",
    title="A production target is deployed to a folder that all users can write",
    reason=(
        "All users of the workspace can change the code and the state in /Workspace/Shared. A target whose permissions"
        " give CAN_MANAGE to the group `users` is not reported."
    ),
    source="https://docs.databricks.com/aws/en/dev-tools/bundles/permissions; databricks/cli, permissions/validate.go",
    fix="Set `workspace.root_path` to a folder of the identity that runs the jobs: /Workspace/Users/<principal>/….",
)
def production_in_shared_folder(target: TargetView) -> Iterator[Outcome]:
    """Yield the root path of a production target, if it is below the shared folder."""
    path = target.root.text_at("workspace", "root_path")
    permissions = (target.root.get("permissions") or Node(())).items
    open_to_all = any(
        one.text_at("group_name") == "users" and one.text_at("level") == "CAN_MANAGE" for one in permissions
    )
    if is_production(target.name, target.mode) and path.startswith(_SHARED) and not open_to_all:
        yield Finding(target.at("workspace", "root_path"), f"all users of the workspace can write {path}")


@rule(
    id="D806",
    name="production-without-run-as",
    severity="warning",
    title="Jobs of a production target run as the user who created them",
    reason=(
        "Without `run_as`, a job runs with the rights of the user who created it: the one who deployed it first. Its"
        " runs fail when that user loses rights or leaves. A target in the folder of a service principal, or that only"
        " service principals may manage, is not reported."
    ),
    source="https://docs.databricks.com/aws/en/dev-tools/bundles/run-as; databricks-sdk, jobs.JobRunAs",
    fix="Set `run_as: {service_principal_name: …}` in the target.",
)
def production_without_run_as(target: TargetView) -> Iterator[Outcome]:
    """Yield a production target with jobs or pipelines that have no identity of their own."""
    if not is_production(target.name, target.mode) or _in_folder_of_principal(target) or _managed_by_principals(target):
        return
    without = [job.key for job in target.jobs if not job.has("run_as")]
    without += [pipeline.key for pipeline in target.resources("pipelines") if not pipeline.has("run_as")]
    if without:
        more = f" and {len(without) - 3} more" if len(without) > 3 else ""
        yield Finding(_target_place(target), f"{', '.join(without[:3])}{more}: run_as is not set")


@rule_across_targets(
    id="D807",
    name="production-is-default-target",
    severity="warning",
    title="A command without a target deploys to production",
    reason="The default target has the mode production, so `databricks bundle deploy` without `--target` changes it.",
    source="https://docs.databricks.com/aws/en/dev-tools/bundles/settings (targets, default)",
    fix="Set `default: true` on a development target.",
)
def production_is_default_target(targets: Sequence[TargetView]) -> Iterator[Outcome]:
    """Yield `default: true` of a production target, if there are targets of other modes."""
    first = targets[0]
    declared = (first.written.get("targets") or Node({})).children
    if first.resolved or all(node.text_at("mode") == PRODUCTION for node in declared.values()):
        return
    for name, node in declared.items():
        if node.is_true("default") and is_production(name, node.text_at("mode")):
            place = place_at(first.written, ("targets", name, "default"), first.texts)
            yield Finding(place, f"target {name} is for production and is the default")


def _target_place(target: TargetView) -> Place:
    """Return the place of the target's mode."""
    path = ("targets", target.name, "mode")
    if target.written.get(*path) is None:
        return target.at("bundle", "mode")
    return place_at(target.written, path, target.texts)


def _written_root_path(target: TargetView) -> str:
    own = target.written.text_at("targets", target.name, "workspace", "root_path")
    return own or target.written.text_at("workspace", "root_path")


def _in_folder_of_principal(target: TargetView) -> bool:
    node = target.root.get("workspace", "root_path")
    is_fixed = node is not None and bool(node.positions) and not _of_deployer(_written_root_path(target))
    return is_fixed and any(is_principal(part) for part in target.root.text_at("workspace", "root_path").split("/"))


def _managed_by_principals(target: TargetView) -> bool:
    permissions = (target.root.get("permissions") or Node(())).items
    managers = [one for one in permissions if one.text_at("level") == "CAN_MANAGE"]
    return bool(managers) and all(one.text_at("service_principal_name") for one in managers)


def _of_deployer(path: str) -> bool:
    return path.startswith("~") or _USER in path
