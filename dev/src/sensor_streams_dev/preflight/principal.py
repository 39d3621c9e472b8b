"""As whom a job runs, which groups that is in, and what they may do with an object."""

import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from sensor_streams.preflight.facts import Unknown
from sensor_streams_dev.preflight.answers import NoAnswerError, Record, records_of, text
from sensor_streams_dev.preflight.required_privileges import Securable, lacking
from sensor_streams_dev.preflight.workspace_client import WorkspaceReader

UNITY = "/api/2.1/unity-catalog"
_SCIM = "/api/2.0/preview/scim/v2"
_APPLICATION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Everybody of the account is in it, and no listing of groups says so.
_EVERYBODY = "account users"


@dataclass(frozen=True)
class Principal:
    """A user's name, a service principal's application id or a group's name; groups: those that it is in."""

    name: str
    groups: tuple[str, ...] | Unknown


def caller(workspace: WorkspaceReader) -> tuple[Principal, float | Unknown]:
    """Who asks, and by how many seconds this clock is ahead of the workspace's. Raises as `WorkspaceReader.get`."""
    before = time.time()
    me = workspace.get(_SCIM, "Me")
    between = (before + time.time()) / 2
    return Principal(text(me, "userName"), _groups(me)), _ahead(me.get("date"), between)


def _ahead(date: object, now: float) -> float | Unknown:
    try:
        # The header has whole seconds, cut off: half of one is the middle of what it can mean.
        return now - parsedate_to_datetime(str(date)).timestamp() - 0.5
    except ValueError:
        return Unknown("its answer says no time of day")


def named(workspace: WorkspaceReader, name: str, asker: Principal | Unknown) -> Principal:
    """The principal of that name with its groups, which are asked for when it is not the one that asks."""
    if isinstance(asker, Principal) and asker.name == name:
        return asker
    kind, attribute = ("ServicePrincipals", "applicationId") if _APPLICATION.fullmatch(name) else ("Users", "userName")
    if '"' in name or "\\" in name:
        return Principal(name, Unknown(f"{name!r} is no name of a principal"))

    def ask() -> tuple[str, ...]:
        query = {"filter": f'{attribute} eq "{name}"', "attributes": f"{attribute},groups"}
        found = records_of(workspace.get(_SCIM, kind, **query), "Resources")
        if len(found) != 1:
            raise NoAnswerError(f"it finds {len(found)} principals of that name")
        return _groups(found[0])

    return Principal(name, workspace.answer(ask))


def _groups(record: Record) -> tuple[str, ...]:
    return tuple(text(group, "display") for group in records_of(record, "groups"))


def privileges(workspace: WorkspaceReader, what: Securable, principal: str, owner: str = "") -> frozenset[str]:
    """The effective privileges of one principal on an object, `OWNER` where it is the owner. Raises as `get`."""
    kind, name = what
    assignments = workspace.listed(
        f"{UNITY}/effective-permissions/{kind}/{quote(name, safe='')}",
        "privilege_assignments",
        principal=principal,
        max_results=0,
    )
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
    """What the principal holds itself, and what its groups add, until nothing that is wanted lacks.

    The permissions API answers for one principal by name; that it counts that one's groups is documented nowhere.
    Raises as `WorkspaceReader.get`, and NoAnswerError when the groups are not known.
    """
    if isinstance(principal.groups, Unknown):
        raise NoAnswerError(f"the groups of {principal.name} are not known: {principal.groups.because}")
    if owner in principal.groups:
        held |= {"OWNER"}
    for group in (*principal.groups, _EVERYBODY):
        if not lacking(wanted, held):
            break
        held |= privileges(workspace, what, group)
    return held
