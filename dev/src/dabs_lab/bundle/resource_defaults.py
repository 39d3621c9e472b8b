"""Complete resources as the CLI does: identities, references between them, volume paths, clusters."""

from dabs_lab.bundle.problems import Path, Problem, Report, raise_if_any, refuse
from dabs_lab.bundle.references import resource_name
from dabs_lab.bundle.yaml_nodes import ANY_INDEX, ANY_KEY, Node

_JOB: Path = ("resources", "jobs", ANY_KEY)
_LEGACY = (
    "You are using the legacy mode of run_as. The support for this mode is experimental and might be removed"
    " in a future release of the CLI. In order to run the pipelines in your DABs project as the run_as user"
    " this mode changes the owners of the pipelines to the run_as identity, which requires the user deploying"
    " the bundle to be a workspace admin, and also a Metastore admin if the pipeline target is in UC."
)
# Cloud attributes that a cluster from an instance pool keeps; the pool sets the others.
_KEPT_FOR_POOL = {
    "aws_attributes": "instance_profile_arn",
    "azure_attributes": "",
    "gcp_attributes": "google_service_account",
}


def set_run_as(root: Node, user: str, warn: Report) -> Node:
    """Set `run_as` of the bundle on every job, pipeline and alert that has none.

    Raises BundleError unless there is one identity, and for resources that can run as their owner only.
    """
    run_as = root.get_filled("run_as")
    if run_as is None:
        return root
    names = [name for name in ("service_principal_name", "user_name") if run_as.text_at(name)]
    legacy = root.is_true("experimental", "use_legacy_run_as")
    if legacy:
        positions = (root.get("experimental", "use_legacy_run_as") or root).positions
        warn(Problem(_LEGACY, "experimental.use_legacy_run_as", positions))
    elif not names:
        what = "run_as section must specify exactly one identity. Neither service_principal_name nor user_name is"
        raise refuse(f"{what} specified", "set one", positions=run_as.positions[:1])
    elif len(names) > 1:
        what = "run_as section cannot specify both user_name and service_principal_name"
        raise refuse(what, "keep one", positions=run_as.positions[:1])
    else:
        _check_run_as(root, run_as.text_at(names[0]), user)
    own = Node({name: run_as.children[name] for name in names}, run_as.positions)
    if legacy:
        root = _legacy_owner(root, own, user)
    for kind in ("jobs",) if legacy else ("jobs", "pipelines", "alerts"):
        root = root.change(("resources", kind, ANY_KEY), lambda _, node: _with_identity(node, own))
    return root


def _legacy_owner(root: Node, own: Node, user: str) -> Node:
    """Make the identity the owner of all pipelines (legacy mode of run_as)."""
    if user in [value.text for value in own.children.values()]:
        return root

    def pipeline(_path: Path, node: Node) -> Node:
        others = [
            permission
            for permission in (node.get("permissions") or Node(())).items
            if not any(permission.text_at(name) == value.text for name, value in own.children.items())
        ]
        return node.put(("permissions",), Node((*others, own.put(("level",), Node("IS_OWNER")))))

    return root.change(("resources", "pipelines", ANY_KEY), pipeline)


def _with_identity(node: Node, identity: Node) -> Node:
    is_set = node.kind != "map" or node.get_filled("run_as") is not None
    return node if is_set else node.put(("run_as",), identity)


def _check_run_as(root: Node, identity: str, user: str) -> None:
    """Refuse an identity other than the deploying user for kinds that run as their owner only. Raises BundleError."""
    if identity == user:
        return
    see = "See https://docs.databricks.com/dev-tools/bundles/run-as.html to learn more about the run_as property."
    wrong = []
    for kind in ("model_serving_endpoints", "quality_monitors", "dashboards", "apps"):
        found = root.get("resources", kind)
        if found is None or not found.children:
            continue
        words, node = kind, found
        if kind == "dashboards":
            embedded = [
                node for node in found.children.values() if (flag := node.get("embed_credentials")) and flag.data
            ]
            if not embedded:
                continue
            words, node = "dashboards with embed_credentials set to true", embedded[0]
        what = f"{words} do not support a setting a run_as user that is different from the owner.\n"
        what += f"Current identity: {user}. Run as identity: {identity}.\n{see}"
        wrong.append(Problem(what, "", node.positions[:1]))
    raise_if_any(wrong)


def override_compute(root: Node, environment_cluster: str, warn: Report) -> Node:
    """Replace the compute of every task by the bundle's cluster_id, or in development by the environment's cluster."""
    cluster, mode = root.get("bundle", "cluster_id"), root.text_at("bundle", "mode")
    if mode == "production" and cluster is not None and cluster.text and not environment_cluster:
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


def link_catalog_objects(root: Node) -> Node:
    """Replace names of schemas and catalogs of this bundle by references.

    The references make the deployment create a schema before its content.
    """
    schemas = {
        (schema.text_at("catalog_name"), schema.text_at("name")): str(path[-1])
        for path, schema in reversed(root.find(("resources", "schemas", ANY_KEY)))
    }
    catalogs = {
        catalog.text_at("name"): str(path[-1])
        for path, catalog in reversed(root.find(("resources", "catalogs", ANY_KEY)))
    }

    def link(node: Node, catalog: str, names: tuple[str, ...]) -> Node:
        catalog_name = node.text_at(catalog)
        for name in names:
            value = node.get(name)
            if value is not None and value.text and catalog_name and (catalog_name, value.text) in schemas:
                key = schemas[catalog_name, value.text]
                node = node.put((name,), value.with_data(f"${{resources.schemas.{key}.name}}"))
        value = node.get(catalog)
        if value is not None and value.text in catalogs and value.text:
            node = node.put((catalog,), value.with_data(f"${{resources.catalogs.{catalogs[value.text]}.name}}"))
        return node

    for kind in ("volumes", "secrets", "registered_models"):
        root = root.change(("resources", kind, ANY_KEY), lambda _, node: link(node, "catalog_name", ("schema_name",)))
    root = root.change(("resources", "pipelines", ANY_KEY), lambda _, node: link(node, "catalog", ("schema", "target")))
    for table_path in (("ai_gateway", "inference_table_config"), ("config", "auto_capture_config")):
        root = root.change(
            ("resources", "model_serving_endpoints", ANY_KEY, *table_path),
            lambda _, node: link(node, "catalog_name", ("schema_name",)),
        )

    def link_output(_path: Path, name: Node) -> Node:
        catalog, dot, schema = name.text.partition(".")
        pair = link(Node({"c": Node(catalog), "s": Node(schema)}), "c", ("s",)) if dot else None
        return name if pair is None else name.with_data(f"{pair.text_at('c')}.{pair.text_at('s')}")

    root = root.change(("resources", "quality_monitors", ANY_KEY, "output_schema_name"), link_output)
    return root.change(("resources", "schemas", ANY_KEY), lambda _, node: link(node, "catalog_name", ()))


def set_volume_paths(root: Node) -> Node:
    """Set the path of every volume. Raises BundleError for a volume that sets its path."""

    def volume(path: Path, node: Node) -> Node:
        written = node.get("volume_path")
        if written is not None and written.data != "":
            what = "volume_path is computed and read-only"
            raise refuse(what, "remove it", at=path, positions=written.positions[:1])
        names = (resource_name(root, node.text_at(name)) for name in ("catalog_name", "schema_name", "name"))
        return node.put(("volume_path",), Node("/".join(["/Volumes", *names]), node.positions[:1]))

    return root.change(("resources", "volumes", ANY_KEY), volume)


def complete_clusters(root: Node) -> Node:
    """Remove cluster fields that the instance pool sets; set 0 workers on job clusters without a size."""
    root = root.change((*_JOB, "tasks", ANY_INDEX, "new_cluster"), _pooled)

    def job_cluster(path: Path, cluster: Node) -> Node:
        cluster = _pooled(path, cluster)
        if "autoscale" in cluster.children or "num_workers" in cluster.children or cluster.kind != "map":
            return cluster
        return cluster.put(("num_workers",), Node(0, cluster.positions[:1]))

    root = root.change((*_JOB, "job_clusters", ANY_INDEX, "new_cluster"), job_cluster)
    return root.change(("resources", "clusters", ANY_KEY), _pooled)


def _pooled(_path: Path, cluster: Node) -> Node:
    if not cluster.text_at("instance_pool_id"):
        return cluster.drop("driver_instance_pool_id") if cluster.kind == "map" else cluster
    for name, field in _KEPT_FOR_POOL.items():
        attributes = cluster.get(name)
        if attributes is not None:
            cluster = cluster.put((name,), _only(attributes, field))
    return cluster.drop("node_type_id", "driver_node_type_id", "enable_elastic_disk")


def _only(node: Node, name: str) -> Node:
    return node.drop(*(each for each in node.children if each != name))
