"""Rights: what the principal of the job lacks, object by object."""

from collections.abc import Iterator

from sensor_streams.preflight.checks.registry import finding
from sensor_streams.preflight.facts import Facts, Unknown
from sensor_streams.preflight.findings import Finding
from sensor_streams_dev.preflight.required_privileges import lacking, needed, quoted

# How SQL calls what the permissions API calls by one word. A registered model is granted on as a function.
_KINDS = {"external_location": "EXTERNAL LOCATION"}


def check(facts: Facts) -> Iterator[Finding]:
    """A finding per object on which the principal, its groups included, lacks a privilege that the job needs."""
    workspace = facts.workspace
    if workspace is None or isinstance(workspace.principal, Unknown):
        return
    principal = workspace.principal
    for what, wanted in needed(facts.meant, facts.entries, workspace.external_locations, workspace.missing).items():
        held = workspace.rights.get(what)
        if held is None or isinstance(held, Unknown):
            continue
        lacks = sorted(_spoken(privilege) for privilege in lacking(wanted, held))
        if lacks:
            kind, name = _KINDS.get(what[0], what[0].upper()), what[1]
            yield finding(
                "rights.missing",
                subject=f"{principal} on {kind.lower()} {name}",
                found=f"{', '.join(sorted(map(_spoken, held))) or 'no privilege'}",
                expected=", ".join(sorted(map(_spoken, wanted))),
                remedy="let the owner of the object grant what is missing, or run the job as somebody who has it",
                command=grant(lacks, kind, name, principal, dotted=what[0] != "external_location"),
            )


def _spoken(privilege: str) -> str:
    return privilege.replace("_", " ")


def grant(privileges: list[str], kind: str, name: str, principal: str, *, dotted: bool = True) -> str | None:
    """The statement that grants; dotted: the name has parts. None where a name has what cannot stand in a statement."""
    names = name.split(".") if dotted else [name]
    if not all(part.isprintable() and part for part in (*names, principal)):
        return None
    told = ".".join(map(quoted, names))
    return f"GRANT {', '.join(privileges)} ON {kind} {told} TO {quoted(principal)}"
