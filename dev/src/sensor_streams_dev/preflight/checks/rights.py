"""Find privileges that the principal of the job is missing."""

from collections.abc import Iterator

from sensor_streams.preflight.checks.registry import check, finding
from sensor_streams.preflight.facts import Facts, Unknown
from sensor_streams.preflight.findings import Finding
from sensor_streams.sql_names import quoted
from sensor_streams_dev.preflight.required_privileges import missing_privileges, required
from sensor_streams_dev.preflight.workspace_facts import workspace_of


@check("rights.missing", "error", "the principal is missing a privilege on an object that the job uses")
def missing(facts: Facts) -> Iterator[Finding]:
    """Find objects on which the principal and its groups are missing a privilege that the job needs."""
    workspace = workspace_of(facts)
    if workspace is None or isinstance(workspace.principal, Unknown):
        return
    principal = workspace.principal
    needs = required(facts.expected, facts.entries, workspace.external_locations, workspace.missing)
    for (kind, name), wanted in needs.items():
        held = workspace.rights.get((kind, name))
        if held is None or isinstance(held, Unknown):
            continue
        privileges = _in_sql(missing_privileges(wanted, held))
        if privileges:
            found = ", ".join(_in_sql(held)) or "no privilege"
            expected = ", ".join(_in_sql(wanted))
            remedy = "ask the owner of the object to grant what is missing, or run the job as another principal"
            command = _grant(privileges, kind, name, principal)
            yield finding(
                "rights.missing", f"{principal} on {kind.replace('_', ' ')} {name}", found, expected, remedy, command
            )


def _in_sql(privileges: frozenset[str]) -> list[str]:
    return sorted(privilege.replace("_", " ") for privilege in privileges)


def _grant(privileges: list[str], kind: str, name: str, principal: str) -> str | None:
    """Return the GRANT statement; None if a name cannot be written in a statement."""
    names = [name] if kind == "external_location" else name.split(".")
    if not all(part.isprintable() and part for part in (*names, principal)):
        return None
    on = f"{kind.upper().replace('_', ' ')} {'.'.join(map(quoted, names))}"
    return f"GRANT {', '.join(privileges)} ON {on} TO {quoted(principal)}"
