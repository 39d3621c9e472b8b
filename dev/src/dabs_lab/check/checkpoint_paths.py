"""Reading of paths of checkpoints and names of tables: their storage, and whether it lasts."""

import re
from typing import Literal

from dabs_lab.check.deployer import names_the_deployer

Scope = Literal["everywhere", "metastore", "workspace", "unknown"]
_CLOUD = ("s3://", "s3a://", "abfss://", "abfs://", "wasbs://", "gs://", "r2://")
_TABLE = re.compile(r"`?[\w-]+`?(\.`?[\w-]+`?){2}")
_FOLDER_NAME = re.compile(r".*(checkpoints|ckpts).*|_?(checkpoint|ckpt|chkpt|chk|cp|state)", re.IGNORECASE)
# Local disks of a cluster, which end with it.
_LOCAL = re.compile(r"(file:|/local_disk0/|/databricks/driver/|/var/tmp/)", re.IGNORECASE)
_TEMPORARY = re.compile(r"/(tmp|temp)(/|$)", re.IGNORECASE)
_PER_RUN = re.compile(
    r"\{\{\s*((job|task)\.(run_id|start_time|trigger\.time|execution_count|repair_count)|run_id|parent_run_id|"
    r"task_retry_count|start_date|start_time|backfill)[^}]*\}\}"
)
_SCHEME = re.compile(r"\w+:(//[^/]*)?")
# A service principal's folder has its application id in place of a name.
_USERS = re.compile(r"(/Workspace)?/(Users|home)/(?!<|[0-9a-f]{8}-)[^/]+", re.IGNORECASE)


def normal_path(path: str) -> str:
    """Return one form for each path: `/dbfs/x/`, `dbfs:/x` and `dbfs:///x` are `dbfs:/x`."""
    path = re.sub(r"^(/dbfs/|dbfs:/+)", "dbfs:/", path.strip().rstrip("/"))
    return re.sub(r"^dbfs:/Volumes/", "/Volumes/", path)


def is_complete(path: str) -> bool:
    """Return whether all parts of a path are known: no variable without a value, no user, no value of a run."""
    return not re.search(r"<[^>]*>|\{\{|\$\{", path) and not names_the_deployer(path)


def may_hold_several(path: str) -> bool:
    """Return whether a path looks like the folder of several checkpoints: `…/checkpoints`."""
    last = normal_path(path).rpartition("/")[2]
    return path.startswith("<") or bool(_FOLDER_NAME.fullmatch(last))


def scope_of(name: str) -> Scope:
    """Return within which limits a path or a table's name always means the same storage."""
    path = normal_path(name)
    if path.lower().startswith(_CLOUD):
        return "everywhere"
    if path.startswith("/Volumes/") or (_TABLE.fullmatch(path) and not path.startswith("hive_metastore.")):
        return "metastore"
    return "workspace" if path.startswith(("/", "dbfs:/")) and not _LOCAL.match(path) else "unknown"


def why_it_does_not_last(path: str) -> str | None:
    """Return why a path is not one for a checkpoint: it is temporary, or new in each run. None if it may be one."""
    if match := _PER_RUN.search(path):
        return f"is new in each run: {match[0]}"
    path = normal_path(path)
    if _LOCAL.match(path):
        return "is on a disk of the cluster and ends with it"
    return "is a temporary folder" if _TEMPORARY.search(path) else None


def is_folder_of_a_user(path: str) -> bool:
    """Return whether a path is within the folder of one user."""
    path = _SCHEME.sub("", normal_path(path), count=1)
    return bool(_USERS.match(path)) or names_the_deployer(path)


def is_on_dbfs(path: str) -> bool:
    """Return whether a path is in the DBFS root or in a mount."""
    return normal_path(path).startswith(("dbfs:/", "/mnt/"))
