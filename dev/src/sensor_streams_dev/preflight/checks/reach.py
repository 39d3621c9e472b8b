"""What a workspace reaches: external locations, which of them only reads, the credential's own test, what lacks."""

from collections.abc import Iterator, Mapping, Sequence

from sensor_streams.preflight.checks.registry import finding
from sensor_streams.preflight.facts import Entry, ExternalLocation, Facts, Unknown, WorkspaceFacts
from sensor_streams.preflight.findings import Finding
from sensor_streams_dev.preflight.required_privileges import covering, tables_of


def check(facts: Facts) -> Iterator[Finding]:
    """NameMapping of tables outside of every external location or under a read-only one; credentials that cannot write;
    catalogs and volumes that are not there."""
    workspace = facts.workspace
    if workspace is None:
        return
    for kind, name in workspace.missing:
        if kind in ("catalog", "volume"):
            yield finding(
                "location.no-object",
                f"{kind} {name}",
                "it is not there, or nobody has let the asker see it",
                f"a {kind} of that name",
                "deploy the bundle, which makes it, or correct the name in the job's parameters",
                "databricks bundle deploy --target <target>" if kind == "volume" else None,
            )
    locations = workspace.external_locations
    # Who may see none learns nothing from an empty list: see `unanswered`.
    if isinstance(locations, Unknown) or not locations:
        return
    for subject, place, written in _places(facts):
        at = covering(locations, place)
        if at is None:
            yield _outside(subject, place, locations)
        elif written and _read_only(at, workspace):
            yield _no_writes(subject, place, at, workspace)
    yield from _write_tests(workspace.write_tests, locations)


def _places(facts: Facts) -> Iterator[tuple[str, str, bool]]:
    """(subject, place, written by the job) of each external table, and of the folder in which new ones are made."""
    does = tables_of(facts.meant)
    for table, entry in facts.entries.items():
        if isinstance(entry, Entry) and entry.kind == "external" and entry.location:
            yield f"table {facts.meant.full(table)}", entry.location, "MODIFY" in does.get(table, ())
    to_make = [table for table, entry in facts.entries.items() if entry is None and "MODIFY" in does.get(table, ())]
    if facts.meant.tables is not None and to_make:
        yield f"tables that are still to be made ({', '.join(sorted(to_make))})", facts.meant.tables, True


def _read_only(at: ExternalLocation, workspace: WorkspaceFacts) -> bool:
    known = {} if isinstance(workspace.credentials, Unknown) else workspace.credentials
    return at.read_only or known.get(at.credential, False)


def _outside(subject: str, place: str, locations: Sequence[ExternalLocation]) -> Finding:
    return finding(
        "location.outside-external-location",
        subject,
        place,
        "a place within one of " + ", ".join(f"{at.name} ({at.url})" for at in locations),
        "correct the place, or let an administrator make an external location that holds it",
    )


def _no_writes(subject: str, place: str, at: ExternalLocation, workspace: WorkspaceFacts) -> Finding:
    by = "is read-only" if at.read_only else f"has the credential {at.credential}, which only reads"
    return finding(
        "location.read-only",
        subject,
        f"{place}, in external location {at.name}, which {by}",
        "an external location that may be written",
        "let its owner take the flag off, or put the tables elsewhere",
        f"databricks external-locations update {at.name} --json '{{\"read_only\": false}}'" if at.read_only else None,
    )


def _write_tests(
    tests: Mapping[str, Sequence[tuple[str, str, str]] | Unknown], locations: Sequence[ExternalLocation]
) -> Iterator[Finding]:
    urls = {at.name: at.url for at in locations}
    for name, results in tests.items():
        failed = [] if isinstance(results, Unknown) else [one for one in results if one[1] == "FAIL"]
        if failed:
            yield finding(
                "location.no-write",
                f"external location {name}",
                "; ".join(f"{operation} fails{f' ({message})' if message else ''}" for operation, _, message in failed),
                f"the credential reads, lists, writes and deletes at {urls.get(name, 'its address')}",
                "give the credential's identity these rights in the cloud's own account, on that bucket or container",
            )
