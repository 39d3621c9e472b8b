"""Apply the mode and presets of a target to resources, and check the rules of the mode."""

from dabs_lab.bundle import resource_kinds as kinds
from dabs_lab.bundle.problems import Problem, refuse
from dabs_lab.bundle.type_checks import quoted
from dabs_lab.bundle.workspace_paths import FOLDERS, is_principal, jobs_of, normal_prefix
from dabs_lab.bundle.yaml_nodes import ANY_KEY, Node

DEVELOPMENT, PRODUCTION = "development", "production"
_DEVELOPMENT_RUNS = 4
_TRIGGERS = ("schedule", "continuous", "trigger")


def set_presets(root: Node) -> Node:
    """Return the bundle with the presets of development mode, except those that the bundle sets."""
    if root.text_at("bundle", "mode") != DEVELOPMENT:
        return root
    user = root.text_at("workspace", "current_user", "short_name")
    presets = root.get("presets") or Node({})
    defaults: dict[str, str | int] = {
        "name_prefix": f"[dev {user}] ",
        "jobs_max_concurrent_runs": _DEVELOPMENT_RUNS,
        "trigger_pause_status": "PAUSED",
        "pipelines_development": True,
    }
    for name, value in defaults.items():
        written = presets.get(name)
        if written is None or (not written.data and name != "pipelines_development"):
            presets = presets.put((name,), Node(value))
    if presets.get("tags", "dev") is None:
        presets = presets.put(("tags", "dev"), Node(user))
    lock = root.get("bundle", "deployment", "lock", "enabled")
    if lock is None or lock.data is not True:
        root = root.put(("bundle", "deployment", "lock", "enabled"), Node(False))
    return root.put(("presets",), presets)


def apply_presets(root: Node) -> Node:
    """Apply name prefix, tags, concurrent runs and paused triggers to resources that do not set them.

    Raises BundleError for an invalid pause status.
    """
    presets = root.get("presets") or Node({})
    pause = presets.get("trigger_pause_status") or Node("")
    if pause.text not in ("", "PAUSED", "UNPAUSED"):
        what = "Invalid value for trigger_pause_status, should be PAUSED or UNPAUSED"
        raise refuse(what, "use one of these", positions=pause.positions[:1])
    prefix = presets.text_at("name_prefix")
    root = root.change(("resources", "jobs", ANY_KEY), lambda _, job: _job(job, presets, prefix, pause.text))
    if not root.is_true("experimental", "skip_name_prefix_for_schema"):
        start = normal_prefix(prefix)
        root = root.change(("resources", "schemas", ANY_KEY, "name"), lambda _, name: name.with_data(start + name.text))
    return kinds.apply_presets(root, presets, prefix, pause.text)


def _job(job: Node, presets: Node, prefix: str, pause: str) -> Node:
    if prefix:
        name = job.get("name") or Node("")
        job = job.put(("name",), name.with_data(prefix + name.text))
    for key, value in sorted((presets.get("tags") or Node({})).children.items()):
        if not job.text_at("tags", key):
            job = job.put(("tags", key), value)
    runs, preset = job.get("max_concurrent_runs"), presets.get("jobs_max_concurrent_runs")
    if preset is not None and preset.data and (runs is None or not runs.data):
        job = job.put(("max_concurrent_runs",), preset)
    for trigger in _TRIGGERS:
        if pause and job.get(trigger) is not None and not job.text_at(trigger, "pause_status"):
            job = job.put((trigger, "pause_status"), Node(pause))
    return job


def set_defaults(root: Node) -> Node:
    """Set the CLI's defaults of volumes, jobs and other kinds."""
    volume = {"volume_type": "MANAGED"}
    root = root.change(("resources", "volumes", ANY_KEY), lambda _, node: kinds.defaulted(node, volume))

    def job(_path: object, node: Node) -> Node:
        node = kinds.defaulted(node, {"name": "Untitled", "max_concurrent_runs": 1, "queue": {"enabled": True}})
        for trigger in _TRIGGERS:
            node = node.change((trigger,), lambda _, entry: kinds.defaulted(entry, {"pause_status": "UNPAUSED"}))
        return node.change(
            ("job_clusters", -1, "new_cluster", "workload_type", "clients"),
            lambda _, clients: kinds.defaulted(clients, kinds.CLIENTS),
        )

    return kinds.set_defaults(root.change(("resources", "jobs", ANY_KEY), job))


def check_mode(root: Node, target_root: Node | None, user: str) -> list[Problem]:
    """Check the rules of the mode and return recommendations. `target_root` is the root path in the target.

    Raises BundleError for an unknown mode, and for a setting that the mode forbids.
    """
    mode = root.get("bundle", "mode")
    if mode is None or not mode.text:
        return []
    if mode.text == DEVELOPMENT:
        _check_development(root, user)
        return []
    if mode.text != PRODUCTION:
        what = f"unsupported value '{mode.text}' specified for 'mode': must be either 'development' or 'production'"
        raise refuse(what, "use one of these", positions=mode.positions[:1])
    if target_root is not None and target_root.text:
        return []
    advice = "set 'workspace.root_path' to make sure only one copy is deployed"
    path = f"/Workspace/Users/{user}/.bundle/${{bundle.name}}/${{bundle.target}}"
    detail = "A common practice is to use a username or principal name in this path, i.e. use\n\n"
    detail += f"  root_path: {path}"
    if is_principal(user) or all(job.get("run_as") is not None for job in jobs_of(root).values()):
        return [Problem(f"target with 'mode: production' should {advice}", detail=detail)]
    what = f"target with 'mode: production' must {advice}"
    raise refuse(what, positions=mode.positions[:1], detail=detail)


def _check_development(root: Node, user: str) -> None:
    workspace = root.get("workspace") or Node({})
    short = workspace.text_at("current_user", "short_name")
    pause = root.get("presets", "trigger_pause_status") or Node("")
    if pause.text == "UNPAUSED":
        what = "target with 'mode: development' cannot set trigger pause status to UNPAUSED by default"
        raise refuse(what, "unpause the job itself", positions=pause.positions[:1])
    unique = "to ensure uniqueness when using 'mode: development'"
    for folder in FOLDERS:
        node = workspace.get(folder) or Node("")
        if user in node.text or short in node.text:
            continue
        what = f"{folder} must start with '~/' or contain the current username {unique}"
        if folder == "artifact_path" and node.text.startswith("/Volumes"):
            what = f"{folder} should contain the current username or ${{workspace.current_user.short_name}} {unique}"
        raise refuse(what, f"it is {quoted(node.text)}", positions=node.positions[:1])
    prefix = root.get("presets", "name_prefix") or Node("")
    names = (user, short, workspace.text_at("current_user", "domain_friendly_name"))
    if not any(name and name in prefix.text for name in names):
        what = f"prefix should contain the current username or ${{workspace.current_user.short_name}} {unique}"
        raise refuse(what, f"it is {quoted(prefix.text)}", positions=prefix.positions[:1])
