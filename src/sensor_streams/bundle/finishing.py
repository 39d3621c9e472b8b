"""What the CLI adds to resources: identities, permissions, volume paths, and mended clusters."""

from sensor_streams.bundle.problem import Path, Problem, refuse
from sensor_streams.bundle.references import resource_name
from sensor_streams.bundle.typed import Warn
from sensor_streams.bundle.workspace import is_principal
from sensor_streams.bundle.yaml_nodes import ANY_INDEX, ANY_KEY, Node, made

_JOB: Path = ("resources", "jobs", ANY_KEY)
_LEVELS = {"CAN_MANAGE": "CAN_MANAGE", "CAN_VIEW": "CAN_VIEW", "CAN_RUN": "CAN_MANAGE_RUN"}
_PRINCIPALS = ("user_name", "service_principal_name", "group_name")
# What is kept of the cloud's attributes of a cluster whose machines come from a pool.
_KEPT_OF_POOLED = {
    "aws_attributes": "instance_profile_arn",
    "azure_attributes": "",
    "gcp_attributes": "google_service_account",
}
# Levels of permissions, the weakest first.
_RANKS = (
    *("CAN_VIEW", "CAN_READ", "CAN_VIEW_METADATA", "CAN_RUN", "CAN_QUERY", "CAN_USE", "CAN_EDIT", "CAN_EDIT_METADATA"),
    *("CAN_CREATE", "CAN_ATTACH_TO", "CAN_RESTART", "CAN_MONITOR", "CAN_MANAGE_RUN", "CAN_MANAGE_STAGING_VERSIONS"),
    *("CAN_MANAGE_PRODUCTION_VERSIONS", "CAN_MANAGE", "IS_OWNER"),
)


def set_run_as(root: Node) -> Node:
    """The bundle's identity on every job without one of its own. Raises BundleError for none or two identities."""
    run_as = root.get("run_as")
    if run_as is None:
        return root
    names = [name for name in ("service_principal_name", "user_name") if run_as.text_at(name)]
    if not names:
        what = "run_as section must specify exactly one identity. Neither service_principal_name nor user_name is"
        raise refuse(f"{what} specified", "write one", positions=run_as.positions[:1])
    if len(names) > 1:
        what = "run_as section cannot specify both user_name and service_principal_name"
        raise refuse(what, "keep one", positions=run_as.positions[:1])
    own = Node({names[0]: run_as.children[names[0]]}, run_as.positions)
    return root.change(_JOB, lambda _, job: job if job.get("run_as") is not None else job.put(("run_as",), own))


def override_compute(root: Node, environment_cluster: str, warn: Warn) -> Node:
    """The cluster of the bundle, or in development of the environment, in the place of every task's own."""
    cluster, mode = root.get("bundle", "cluster_id"), root.text_at("bundle", "mode")
    if mode == "production" and cluster is not None and cluster.text:
        what = "Setting a cluster override for a target that uses 'mode: production' is not recommended"
        detail = "It is recommended to always use the same compute for production target for consistency."
        warn(Problem(what, detail=detail))
    if environment_cluster:
        if mode != "development":
            what = "The DATABRICKS_CLUSTER_ID variable is set but is ignored since the current target does not use"
            warn(Problem(f"{what} 'mode: development'"))
            return root
        cluster = Node(environment_cluster)
        root = root.put(("bundle", "cluster_id"), cluster)
    if cluster is None or not cluster.text:
        return root
    kinds = ("new_cluster", "existing_cluster_id", "environment_key", "job_cluster_key")

    def override(_path: Path, task: Node) -> Node:
        if task.get("for_each_task") is not None:
            return task.change(("for_each_task", "task"), override)
        if not any(kind in task.children for kind in kinds):
            return task
        return task.drop(*kinds).put(("existing_cluster_id",), cluster)

    return root.change((*_JOB, "tasks", ANY_INDEX), override)


def set_permissions(root: Node, user: str, warn: Warn) -> Node:
    """The bundle's permissions on every job, and the user who deploys as its owner wherever there are any.

    Raises BundleError for a level that a bundle does not have.
    """
    shared = (root.get("permissions") or Node(())).items
    for one in shared:
        if one.text_at("level") not in _LEVELS:
            level = one.get("level") or one
            what = f"invalid permission level: {level.text}, allowed values: [CAN_MANAGE, CAN_VIEW, CAN_RUN]"
            raise refuse(what, "write one of these", positions=level.positions[:1])

    def job(_path: Path, node: Node) -> Node:
        own = node.get("permissions") or Node(())
        added = [
            one.put(("level",), Node(_LEVELS[one.text_at("level")], (one.get("level") or one).positions))
            for one in shared
            if not _overlaps(one, own.items, warn)
        ]
        everyone = _owned([*own.items, *added], user)
        if not own.items and not added:
            return node.drop("permissions")
        return node.put(("permissions",), Node(tuple(_strongest(everyone)), own.positions))

    return root.change(_JOB, job)


def _overlaps(one: Node, own: tuple[Node, ...], warn: Warn) -> bool:
    kinds = {"group_name": "group", "user_name": "user name", "service_principal_name": "service principal name"}
    found = False
    for other in own:
        for name, kind in kinds.items():
            if other.text_at(name) and other.text_at(name) == one.text_at(name):
                warn(Problem(f"'jobs' already has permissions set for '{one.text_at(name)}' {kind}"))
                found = True
    return found


def _owned(permissions: list[Node], user: str) -> list[Node]:
    name = "service_principal_name" if is_principal(user) else "user_name"
    mine = [one for one in permissions if user in (one.text_at("user_name"), one.text_at("service_principal_name"))]
    owners = [one for one in permissions if one.text_at("level") == "IS_OWNER"]
    managing = [one for one in mine if one.text_at("level") == "CAN_MANAGE"]
    if any(one in owners for one in mine):
        return permissions
    if owners:
        return permissions if managing else [*permissions, made({"level": "CAN_MANAGE", name: user})]
    if managing:
        last = len(permissions) - 1 - permissions[::-1].index(managing[-1])
        permissions[last] = managing[-1].put(("level",), Node("IS_OWNER", managing[-1].positions))
        return permissions
    return [*permissions, made({"level": "IS_OWNER", name: user})]


def _strongest(permissions: list[Node]) -> list[Node]:
    """One entry per principal, with the strongest of its levels."""
    best: dict[tuple[str, str], Node] = {}
    for one in permissions:
        name = next((name for name in _PRINCIPALS if one.text_at(name)), "")
        if not name or not one.text_at("level"):
            continue
        key = (name, one.text_at(name))
        bare = one.with_data({"level": one.children["level"], name: one.children[name]})
        if key not in best or _rank(bare) > _rank(best[key]):
            best[key] = bare
    return list(best.values())


def _rank(permission: Node) -> tuple[int, str]:
    level = permission.text_at("level")
    return (_RANKS.index(level) if level in _RANKS else -1, level)


def link_volumes(root: Node) -> Node:
    """A volume in a schema of this bundle names it by reference, so that one is made before the other."""
    schemas = {
        (schema.text_at("catalog_name"), schema.text_at("name")): str(path[-1])
        for path, schema in reversed(root.find(("resources", "schemas", ANY_KEY)))
    }

    def volume(_path: Path, node: Node) -> Node:
        key = schemas.get((node.text_at("catalog_name"), node.text_at("schema_name")))
        name = node.get("schema_name")
        if key is None or name is None or not name.text or not node.text_at("catalog_name"):
            return node
        return node.put(("schema_name",), name.with_data(f"${{resources.schemas.{key}.name}}"))

    return root.change(("resources", "volumes", ANY_KEY), volume)


def set_volume_paths(root: Node) -> Node:
    """The path of every volume. Raises BundleError where someone wrote one."""

    def volume(path: Path, node: Node) -> Node:
        written = node.get("volume_path")
        if written is not None:
            what = "volume_path is computed and read-only"
            raise refuse(what, "remove it", at=path, positions=written.positions[:1])
        names = (resource_name(root, node.text_at(name)) for name in ("catalog_name", "schema_name", "name"))
        return node.put(("volume_path",), Node("/".join(["/Volumes", *names]), node.positions[:1]))

    return root.change(("resources", "volumes", ANY_KEY), volume)


def mend_clusters(root: Node) -> Node:
    """Clusters from a pool without what the pool decides; job clusters with a number of workers."""
    root = root.change((*_JOB, "tasks", ANY_INDEX, "new_cluster"), _pooled)

    def shared(path: Path, cluster: Node) -> Node:
        cluster = _pooled(path, cluster)
        if "autoscale" in cluster.children or "num_workers" in cluster.children or cluster.kind != "map":
            return cluster
        return cluster.put(("num_workers",), Node(0, cluster.positions[:1]))

    return root.change((*_JOB, "job_clusters", ANY_INDEX, "new_cluster"), shared)


def _pooled(_path: Path, cluster: Node) -> Node:
    if not cluster.text_at("instance_pool_id"):
        return cluster.drop("driver_instance_pool_id") if cluster.kind == "map" else cluster
    for name, field in _KEPT_OF_POOLED.items():
        attributes = cluster.get(name)
        if attributes is not None:
            cluster = cluster.put((name,), _only(attributes, field))
    return cluster.drop("node_type_id", "driver_node_type_id", "enable_elastic_disk")


def _only(node: Node, name: str) -> Node:
    return node.drop(*(each for each in node.children if each != name))


def drop_unprotected(root: Node) -> Node:
    """`prevent_destroy: false` says nothing: the CLI leaves it out."""

    def lifecycle(_path: Path, node: Node) -> Node:
        flag = node.get("prevent_destroy")
        return node.drop("prevent_destroy") if flag is not None and flag.data is False else node

    return root.change(("resources", ANY_KEY, ANY_KEY, "lifecycle"), lifecycle)
