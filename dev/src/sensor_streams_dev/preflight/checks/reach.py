"""Find missing objects, paths outside of external locations, and locations or credentials that cannot write."""

from collections.abc import Iterator, Sequence

from sensor_streams.preflight.checks.registry import check, finding
from sensor_streams.preflight.facts import Entry, Facts, Unknown
from sensor_streams.preflight.findings import Finding
from sensor_streams_dev.preflight.required_privileges import covering, tables_of
from sensor_streams_dev.preflight.workspace_facts import ExternalLocation, workspace_of


@check("location.no-object", "error", "a catalog or volume that the job uses does not exist")
def no_object(facts: Facts) -> Iterator[Finding]:
    """Find catalogs and volumes of the job that the workspace does not have."""
    workspace = workspace_of(facts)
    for kind, name in () if workspace is None else workspace.missing:
        if kind in ("catalog", "volume"):
            found = "it does not exist, or the caller may not see it"
            expected = f"a {kind} of that name"
            remedy = "deploy the bundle, which creates it, or correct the name in the job's parameters"
            command = "databricks bundle deploy --target <target>" if kind == "volume" else None
            yield finding("location.no-object", f"{kind} {name}", found, expected, remedy, command)


def _visible(facts: Facts) -> Sequence[ExternalLocation]:
    """Return the external locations that the caller may see. `unchecked` reports it if it may see none."""
    workspace = workspace_of(facts)
    locations = () if workspace is None else workspace.external_locations
    return () if isinstance(locations, Unknown) else locations


@check("location.outside-external-location", "error", "a table's path is in no external location of the workspace")
@check("location.read-only", "error", "a table's path is in a read-only external location")
def external_location(facts: Facts) -> Iterator[Finding]:
    """Find tables outside of every external location, or in a read-only one."""
    workspace, locations = workspace_of(facts), _visible(facts)
    if workspace is None or not locations:
        return
    credentials = {} if isinstance(workspace.credentials, Unknown) else workspace.credentials
    for subject, path, written in _paths(facts):
        at = covering(locations, path)
        if at is None:
            expected = "a path within one of " + ", ".join(f"{at.name} ({at.url})" for at in locations)
            remedy = "correct the path, or ask an administrator for an external location that contains it"
            yield finding("location.outside-external-location", subject, path, expected, remedy)
        elif written and (at.read_only or credentials.get(at.credential, False)):
            reason = "is read-only" if at.read_only else f"has the read-only credential {at.credential}"
            found = f"{path}, in external location {at.name}, which {reason}"
            expected = "an external location that may be written"
            remedy = "ask its owner to remove the flag, or store the tables elsewhere"
            command = f"databricks external-locations update {at.name} --json '{{\"read_only\": false}}'"
            yield finding("location.read-only", subject, found, expected, remedy, command if at.read_only else None)


def _paths(facts: Facts) -> Iterator[tuple[str, str, bool]]:
    """Yield subject, path and whether the job writes there: for external tables, and for the folder of new ones."""
    written = {table for table, privileges in tables_of(facts.expected).items() if "MODIFY" in privileges}
    for table, entry in facts.entries.items():
        if isinstance(entry, Entry) and entry.kind == "external" and entry.location:
            yield f"table {facts.expected.full(table)}", entry.location, table in written
    new = sorted(table for table, entry in facts.entries.items() if entry is None and table in written)
    if facts.expected.tables is not None and new:
        yield f"tables that are still to be made ({', '.join(new)})", facts.expected.tables, True


@check("location.no-write", "error", "the credential of an external location cannot write or delete")
def no_write(facts: Facts) -> Iterator[Finding]:
    """Report credentials that failed their own write test (option --probe-write)."""
    workspace = workspace_of(facts)
    urls = {at.name: at.url for at in _visible(facts)}
    tests = {} if workspace is None or not urls else workspace.write_tests
    for name, results in tests.items():
        failed = [] if isinstance(results, Unknown) else [one for one in results if one[1] == "FAIL"]
        if failed:
            found = "; ".join(
                f"{operation} fails{f' ({message})' if message else ''}" for operation, _, message in failed
            )
            expected = f"the credential reads, lists, writes and deletes at {urls.get(name, 'its address')}"
            remedy = "grant the credential's identity these rights on the bucket or container, in the cloud account"
            yield finding("location.no-write", f"external location {name}", found, expected, remedy)
