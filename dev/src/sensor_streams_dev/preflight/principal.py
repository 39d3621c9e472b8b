"""Identity that a job runs as: its groups, and its effective privileges on an object."""

import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from sensor_streams.preflight.facts import Unknown
from sensor_streams_dev.preflight.answers import NoAnswerError, Record, records_of, text
from sensor_streams_dev.preflight.required_privileges import Securable, missing_privileges
from sensor_streams_dev.preflight.workspace_client import WorkspaceReader

UNITY = "/api/2.1/unity-catalog"
_SCIM = "/api/2.0/preview/scim/v2"
_APPLICATION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Every user of the account is a member, but no list of groups shows it.
_ACCOUNT_USERS = "account users"


@dataclass(frozen=True)
class Principal:
    """A user name, the application id of a service principal, or a group name; and the groups that it is in."""

    name: str
    groups: tuple[str, ...] | Unknown


def caller(workspace: WorkspaceReader) -> tuple[Principal, float | Unknown]:
    """Return the caller, and by how many seconds this clock is ahead of the workspace's. Raises as `get`."""
    before = time.time()
    me = workspace.get(_SCIM, "Me")
    middle = (before + time.time()) / 2
    skew: float | Unknown
    try:
        # The header has whole seconds, rounded down: half a second is the expected difference.
        skew = middle - parsedate_to_datetime(str(me.get("date"))).timestamp() - 0.5
    except ValueError:
        skew = Unknown("its answer has no date")
    return Principal(text(me, "userName"), _groups(me)), skew


def principal_named(workspace: WorkspaceReader, name: str, caller: Principal | Unknown) -> Principal:
    """Return the principal of that name with its groups, without another request if it is the caller."""
    if isinstance(caller, Principal) and caller.name == name:
        return caller
    kind, attribute = ("ServicePrincipals", "applicationId") if _APPLICATION.fullmatch(name) else ("Users", "userName")
    if '"' in name or "\\" in name:
        return Principal(name, Unknown(f"{name!r} is not a valid name of a principal"))

    def query() -> tuple[str, ...]:
        filters = {"filter": f'{attribute} eq "{name}"', "attributes": f"{attribute},groups"}
        found = records_of(workspace.get(_SCIM, kind, **filters), "Resources")
        if len(found) != 1:
            raise NoAnswerError(f"it finds {len(found)} principals of that name")
        return _groups(found[0])

    return Principal(name, workspace.answer(query))


def _groups(record: Record) -> tuple[str, ...]:
    return tuple(text(group, "display") for group in records_of(record, "groups"))


def privileges(workspace: WorkspaceReader, what: Securable, principal: str, owner: str = "") -> frozenset[str]:
    """Return the effective privileges of a principal on an object, with `OWNER` for its owner. Raises as `get`."""
    kind, name = what
    path = f"{UNITY}/effective-permissions/{kind}/{quote(name, safe='')}"
    assignments = workspace.listed(path, "privilege_assignments", principal=principal, max_results=0)
    held = {text(one, "privilege") for of in assignments for one in records_of(of, "privileges")}
    return frozenset(held | {"OWNER"}) if owner == principal else frozenset(held)


def with_groups(
    workspace: WorkspaceReader,
    what: Securable,
    principal: Principal,
    owner: str,
    held: frozenset[str],
    wanted: frozenset[str],
) -> frozenset[str]:
    """Add the privileges of the principal's groups, until no wanted privilege is missing.

    The permissions API answers for one principal. Its docs do not say whether that includes the groups.
    Raises as `WorkspaceReader.get`, and NoAnswerError if the groups are unknown.
    """
    if isinstance(principal.groups, Unknown):
        raise NoAnswerError(f"the groups of {principal.name} are not known: {principal.groups.because}")
    if owner in principal.groups:
        held |= {"OWNER"}
    for group in (*principal.groups, _ACCOUNT_USERS):
        if not missing_privileges(wanted, held):
            break
        held |= privileges(workspace, what, group)
    return held
