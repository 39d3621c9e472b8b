"""Apply the bundle's permissions to resources, and give the deploying user ownership or management."""

from dabs_lab.bundle.problems import Path, Problem, Report, refuse
from dabs_lab.bundle.workspace_paths import is_principal
from dabs_lab.bundle.yaml_nodes import ANY_KEY, Node, to_node

_LEVELS = ("CAN_MANAGE", "CAN_VIEW", "CAN_RUN")
# Level on each kind of resource for each of _LEVELS; None if the kind has no such level.
_BY_KIND: dict[str, tuple[str, str, str | None]] = {
    "jobs": ("CAN_MANAGE", "CAN_VIEW", "CAN_MANAGE_RUN"),
    "pipelines": ("CAN_MANAGE", "CAN_VIEW", "CAN_RUN"),
    "experiments": ("CAN_MANAGE", "CAN_READ", None),
    "models": ("CAN_MANAGE", "CAN_READ", None),
    "model_serving_endpoints": ("CAN_MANAGE", "CAN_VIEW", "CAN_QUERY"),
    "dashboards": ("CAN_MANAGE", "CAN_READ", None),
    "genie_spaces": ("CAN_MANAGE", "CAN_READ", None),
    "apps": ("CAN_MANAGE", "CAN_USE", None),
    "secret_scopes": ("MANAGE", "READ", None),
    "alerts": ("CAN_MANAGE", "CAN_READ", "CAN_RUN"),
    "sql_warehouses": ("CAN_MANAGE", "CAN_VIEW", "CAN_MONITOR"),
    "database_instances": ("CAN_MANAGE", "CAN_USE", None),
    "postgres_projects": ("CAN_MANAGE", "CAN_USE", None),
    "clusters": ("CAN_MANAGE", "CAN_ATTACH_TO", "CAN_RESTART"),
    "vector_search_endpoints": ("CAN_MANAGE", "CAN_USE", None),
    "instance_pools": ("CAN_MANAGE", "CAN_ATTACH_TO", None),
}
_WITH_OWNER = ("jobs", "pipelines", "sql_warehouses")
# Kind whose permissions do not get the deploying user.
_NO_DEPLOYER = "secret_scopes"
# Fields of a permission that name its principal; one of them is set.
PRINCIPALS = ("user_name", "service_principal_name", "group_name")
_WORDS = {"group_name": "group", "user_name": "user name", "service_principal_name": "service principal name"}
# Levels from weakest to strongest.
_RANKS = (
    *("CAN_VIEW", "CAN_READ", "CAN_VIEW_METADATA", "CAN_RUN", "CAN_QUERY", "CAN_USE", "CAN_EDIT", "CAN_EDIT_METADATA"),
    *("CAN_CREATE", "CAN_ATTACH_TO", "CAN_RESTART", "CAN_MONITOR", "CAN_MANAGE_RUN", "CAN_MANAGE_STAGING_VERSIONS"),
    *("CAN_MANAGE_PRODUCTION_VERSIONS", "CAN_MANAGE", "IS_OWNER"),
)


def set_permissions(root: Node, user: str, warn: Report) -> Node:
    """Return the bundle with its permissions on every resource of a kind that has permissions.

    The deploying user becomes owner or manager of every resource with permissions. Raises BundleError for an invalid
    level.
    """
    shared = (root.get("permissions") or Node(())).items
    for permission in shared:
        if permission.text_at("level") not in _LEVELS:
            level = permission.get("level") or permission
            what = f"invalid permission level: {level.text}, allowed values: [{', '.join(_LEVELS)}]"
            raise refuse(what, "use one of these", positions=level.positions[:1])
    for kind, levels in _BY_KIND.items():
        by_level = dict(zip(_LEVELS, levels, strict=True))

        def resource(_path: object, node: Node, kind: str = kind, by_level: dict[str, str | None] = by_level) -> Node:
            return _resource(node, kind, by_level, shared, warn) if node.kind == "map" else node

        root = root.change(("resources", kind, ANY_KEY), resource)

    def with_owner(path: Path, node: Node) -> Node:
        kind = str(path[1])
        if node.kind != "sequence" or kind == _NO_DEPLOYER:
            return node
        return node.with_data(tuple(_strongest(_add_user(list(node.items), user, kind in _WITH_OWNER))))

    return root.change(("resources", ANY_KEY, ANY_KEY, "permissions"), with_owner)


def _resource(node: Node, kind: str, by_level: dict[str, str | None], shared: tuple[Node, ...], warn: Report) -> Node:
    own = node.get("permissions") or Node(())
    added = []
    for permission in shared:
        level = by_level[permission.text_at("level")]
        if level is not None and not _overlaps(permission, own.items, kind, warn):
            added.append(permission.put(("level",), Node(level, (permission.get("level") or permission).positions)))
    if not own.items and not added:
        return node.drop("permissions")
    return node.put(("permissions",), Node((*own.items, *added), own.positions))


def _overlaps(added: Node, own: tuple[Node, ...], kind: str, warn: Report) -> bool:
    found = False
    for other in own:
        for name, words in _WORDS.items():
            if other.text_at(name) and other.text_at(name) == added.text_at(name):
                warn(Problem(f"'{kind}' already has permissions set for '{added.text_at(name)}' {words}"))
                found = True
    return found


def _add_user(permissions: list[Node], user: str, has_owner: bool) -> list[Node]:
    name = "service_principal_name" if is_principal(user) else "user_name"
    mine = [
        permission
        for permission in permissions
        if user in (permission.text_at("user_name"), permission.text_at("service_principal_name"))
    ]
    owners = [permission for permission in permissions if permission.text_at("level") == "IS_OWNER"]
    managing = [permission for permission in mine if permission.text_at("level") == "CAN_MANAGE"]
    if any(permission in owners for permission in mine):
        return permissions
    if owners or not has_owner:
        return permissions if managing else [*permissions, to_node({"level": "CAN_MANAGE", name: user})]
    if managing:
        last = len(permissions) - 1 - permissions[::-1].index(managing[-1])
        permissions[last] = managing[-1].put(("level",), Node("IS_OWNER", managing[-1].positions))
        return permissions
    return [*permissions, to_node({"level": "IS_OWNER", name: user})]


def _strongest(permissions: list[Node]) -> list[Node]:
    """Return one entry per principal, with its strongest level."""
    best: dict[tuple[str, str], Node] = {}
    for permission in permissions:
        name = next((name for name in PRINCIPALS if permission.text_at(name)), "")
        if not name or not permission.text_at("level"):
            continue
        key = (name, permission.text_at(name))
        bare = permission.with_data({"level": permission.children["level"], name: permission.children[name]})
        if key not in best or _rank(bare) > _rank(best[key]):
            best[key] = bare
    return list(best.values())


def _rank(permission: Node) -> tuple[int, str]:
    level = permission.text_at("level")
    return (_RANKS.index(level) if level in _RANKS else -1, level)
