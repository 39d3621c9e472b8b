"""Derive the user's names and the workspace folders of a bundle, without a request to the workspace."""

import posixpath
import re
import unicodedata

from dabs_lab.bundle.problems import Path, Problem, Report, path_text, raise_if_any, refuse
from dabs_lab.bundle.type_checks import quoted
from dabs_lab.bundle.yaml_nodes import ANY_INDEX, ANY_KEY, Node, to_node

FOLDERS = ("root_path", "file_path", "resource_path", "artifact_path", "state_path")
_SUBFOLDERS = {"file_path": "files", "resource_path": "resources", "artifact_path": "artifacts", "state_path": "state"}
_PRINCIPAL = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_principal(user: str) -> bool:
    """Return whether a user name is the id of a service principal."""
    return _PRINCIPAL.fullmatch(user) is not None


def plain_name(text: str) -> str:
    """Return a text in lower case, with `_` for every run of characters that are not letters or digits."""
    return re.sub("_+", "_", _replace_special(text.lower(), "_")).strip("_")


def _replace_special(text: str, by: str) -> str:
    return "".join(character if character.isalpha() or character.isdigit() else by for character in text)


def normal_prefix(prefix: str) -> str:
    """Return a name prefix as a prefix of identifiers: `[dev ann] ` becomes `dev_ann_`."""
    bare = prefix.replace("[", "").strip(" ")
    return plain_name(bare) + ("_" if bare.endswith("]") else "")


def short_name(user: str) -> str:
    """Return the part of a user name before the @, as an identifier."""
    return plain_name(user.partition("@")[0])


def _friendly_name(user: str) -> str:
    marks = unicodedata.normalize("NFD", short_name(user))
    bare = unicodedata.normalize("NFC", "".join(mark for mark in marks if unicodedata.category(mark) != "Mn"))
    return _replace_special(bare, "-").lower()


def set_workspace(root: Node, user: str) -> Node:
    """Set the current user and the workspace folders of the bundle.

    Raises BundleError for a bundle with neither a name nor a root path.
    """
    workspace = root.get("workspace") or Node({})
    name, target = root.text_at("bundle", "name"), root.text_at("bundle", "target")
    path = workspace.get("root_path")
    if path is None or not path.text:
        if not name:
            positions = ((root.get("bundle") or root).positions or root.positions)[:1]
            raise refuse("bundle name not defined", "set bundle.name", positions=positions)
        path = Node(f"~/.bundle/{name}/{target}")
    home = f"/Workspace/Users/{user}"
    if path.text.startswith("~/"):
        path = path.with_data(posixpath.normpath(posixpath.join(home, path.text[2:])))
    workspace = workspace.put(("root_path",), path)
    for folder in FOLDERS[1:]:
        if not workspace.text_at(folder):
            below = posixpath.join(path.text, _SUBFOLDERS[folder])
            workspace = workspace.put((folder,), Node(posixpath.normpath(below), path.positions))
    for folder in FOLDERS:
        text = workspace.text_at(folder)
        if text.startswith("/") and not text.startswith(("/Workspace/", "/Volumes/")):
            workspace = workspace.change((folder,), lambda _, node: node.with_data("/Workspace" + node.text))
    names = {"userName": user, "short_name": short_name(user), "domain_friendly_name": _friendly_name(user)}
    return root.put(("workspace",), workspace.put(("current_user",), to_node(names)))


def rewrite_prefixes(root: Node, warn: Report) -> Node:
    """Remove `/Workspace` before `${workspace.root_path}` and other folders that contain it, with a warning."""
    see = "https://docs.databricks.com/en/release-notes/dev-tools/bundles.html#workspace-paths"

    def rewrite(path: Path, node: Node) -> Node:
        text = node.text
        for folder in FOLDERS:
            right = f"${{workspace.{folder}}}"
            for wrong in (f"/Workspace/{right}", f"/Workspace{right}"):
                if wrong in text:
                    text = text.replace(wrong, right)
                    found = f"substring {quoted(wrong)} found in {quoted(node.text)}"
                    what = f"{found}. Please update this to {quoted(text)}."
                    detail = f"For more information, please refer to: {see}"
                    warn(Problem(what, path_text(path), node.positions, detail))
        return node.with_data(text) if text != node.text else node

    return root.change_texts(rewrite)


def check_folders(root: Node) -> None:
    """Refuse folders in a volume, except for artifacts. Raises BundleError."""
    wrong = []
    for folder in FOLDERS:
        node = root.get("workspace", folder) or Node("")
        if folder != "artifact_path" and node.text.startswith("/Volumes/"):
            what = f"workspace.{folder} {node.text} starts with /Volumes"
            remedy = "/Volumes can only be used with workspace.artifact_path"
            wrong.append(Problem(what, f"workspace.{folder}", node.positions, remedy=remedy))
            if folder == "root_path":
                break
    raise_if_any(wrong)


def permissions_advice(root: Node, user: str) -> list[Problem]:
    """Return a recommendation if the permissions do not name the deploying user."""
    permissions = root.get("permissions") or Node(())
    if not permissions.items:
        return []
    for permission in permissions.items:
        names = (permission.text_at("user_name"), permission.text_at("service_principal_name"))
        if permission.text_at("level") == "CAN_MANAGE" and user in names:
            return []
    kind = "service_principal_name" if is_principal(user) else "user_name"
    what = (
        f"permissions section should explicitly include the current deployment identity '{user}' or one of its"
        " groups\nIf it is not included, CAN_MANAGE permissions are only applied if the present identity is used to"
        " deploy.\n\nConsider using a adding a top-level permissions section such as the following:\n\n"
        f"  permissions:\n    - {kind}: {user}\n      level: CAN_MANAGE\n\n"
        "See https://docs.databricks.com/dev-tools/bundles/permissions.html to learn more about permission"
        " configuration."
    )
    return [Problem(what, "", permissions.positions[:1])]


def check_shared_root(root: Node, warn: Report) -> None:
    """Warn of a root path that all users can write, unless the permissions let them manage the bundle."""
    path = root.text_at("workspace", "root_path")
    if not path.startswith("/Workspace/Shared/"):
        return
    for _, permission in root.find(("permissions", ANY_INDEX)):
        if permission.text_at("group_name") == "users" and permission.text_at("level") == "CAN_MANAGE":
            return
    detail = (
        "The bundle is configured to use /Workspace/Shared, which will give read/write access to all users. If this is"
        " intentional, add CAN_MANAGE for 'group_name: users' permission to your bundle configuration. If the"
        " deployment should be restricted, move it to a restricted folder such as /Workspace/Users/<username or"
        " principal name>."
    )
    warn(Problem(f"the bundle root path {path} is writable by all workspace users", detail=detail))


def jobs_of(root: Node) -> dict[str, Node]:
    """Return the jobs by key."""
    return {str(path[-1]): node for path, node in root.find(("resources", "jobs", ANY_KEY))}
