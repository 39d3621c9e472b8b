"""Every check by its id: how bad what it finds is, and what it says in a line. The one list of them."""

from collections.abc import Mapping

from sensor_streams.preflight.findings import Finding, Severity

LOCATION: Mapping[str, tuple[Severity, str]] = {
    "location.nothing-there": ("error", "the catalog entry leads to a place without a table"),
    "location.moved": ("error", "the catalog entry leads to another place than the stream is bound to"),
    "location.recreated": ("error", "another table lies where the stream's table was"),
    "location.stale-copy": ("error", "the catalog entry leads to an old copy, which would take the writes"),
    "location.fork": ("error", "two tables with a common history have both been written to"),
    "location.no-entry": ("error", "the table's data is there and its catalog entry is not"),
    "location.occupied": ("error", "files that are no table lie where a new table would go"),
    "location.damaged": ("error", "the table's log has lost files and cannot be read"),
    "location.not-a-table": ("error", "a view has the name of a stream's table"),
    "location.shared": ("error", "two names lead to one place"),
    "location.nested": ("error", "a place lies inside another one that it must not lie in"),
    "location.landing-moved": ("error", "files arrive in another folder than the checkpoint was made for"),
    "location.no-object": ("error", "a catalog or volume that the job names is not there"),
    "location.outside-external-location": ("error", "a table's place is in no external location of the workspace"),
    "location.read-only": ("error", "a table's place is in an external location that may only be read"),
    "location.no-write": ("error", "the credential of an external location cannot write or delete there"),
}
SOURCE: Mapping[str, tuple[Severity, str]] = {
    "source.other-table": ("error", "the checkpoint has read another table than the source is today"),
    "source.restored": ("error", "the checkpoint has read further than the source's history goes"),
    "source.history-gone": ("error", "changes that the stream has still to read are gone"),
    "source.vacuumed": ("warning", "VACUUM may have removed what the stream has still to read"),
}
CHECKPOINT: Mapping[str, tuple[Severity, str]] = {
    "checkpoint.missing": ("error", "batches are there, and not the file that says whose they are"),
    "checkpoint.half-written": ("error", "a file of the checkpoint is empty or cut short"),
    "checkpoint.unbound": ("error", "nothing beside the checkpoint says which tables it belongs to"),
    "checkpoint.other-stream": ("error", "the checkpoint belongs to another stream or target"),
    "checkpoint.in-use": ("error", "another run is at work on the checkpoint"),
    "checkpoint.temporary": ("warning", "the checkpoints lie where they will not last"),
    "checkpoint.gap": ("error", "batches of the checkpoint do not follow each other"),
    "checkpoint.older-than-history": (
        "warning",
        "the stream lags further behind than its source keeps what it replaces",
    ),
}
SINK: Mapping[str, tuple[Severity, str]] = {
    "sink.transaction-ahead": ("error", "the table has batches that the checkpoint does not know"),
    "sink.second-writer": ("error", "somebody else has written to the stream's table"),
    "sink.restored": ("error", "the stream's table was set back"),
    "sink.protocol": ("error", "the table needs a feature that this runtime cannot write"),
    "sink.constraint": ("warning", "a constraint may refuse the stream's rows"),
    "sink.append-only": ("error", "the table takes no updates"),
    "sink.retention": ("warning", "the table keeps what it replaces for too short a time for a slow stream"),
    "sink.change-feed-off": ("error", "the table's change feed, which drives the next stream, is off"),
}
SCHEMA: Mapping[str, tuple[Severity, str]] = {
    "schema.missing": ("error", "a column is gone"),
    "schema.type": ("error", "a column has another type"),
    "schema.case": ("error", "a column is spelt with other capitals"),
    "schema.nullable": ("warning", "a column takes no nulls"),
    "schema.partition": ("warning", "the table is partitioned in another way"),
}
RIGHTS: Mapping[str, tuple[Severity, str]] = {
    "rights.missing": ("error", "the principal lacks a privilege on an object that the job touches"),
}
MODEL: Mapping[str, tuple[Severity, str]] = {
    "model.no-champion": ("warning", "no version of a model has the alias champion: its stream waits"),
    "model.version-gone": ("error", "the version that the alias names is not there, or not whole"),
    "model.signature": ("error", "a model reads columns that the features do not have, or of another type"),
    "model.flavour": ("error", "a model is no pyfunc, or what it imports is not here"),
    "model.refused": ("error", "a model cannot score the features: the version before it goes on, or the stream waits"),
    "model.python": ("warning", "a model was logged with another Python than the one that runs here"),
}
PLATFORM: Mapping[str, tuple[Severity, str]] = {
    "platform.version": ("error", "Spark, Delta or the runtime is another than the project is built for"),
    "platform.disk": ("error", "the disk is nearly full"),
    "platform.memory": ("warning", "there is little memory left"),
    "platform.clock": ("warning", "this machine's clock is off"),
}
CHECKS: Mapping[str, tuple[Severity, str]] = {
    **LOCATION,
    **SOURCE,
    **CHECKPOINT,
    **SINK,
    **SCHEMA,
    **RIGHTS,
    **MODEL,
    **PLATFORM,
}


def finding(
    check: str,
    subject: str,
    found: str,
    expected: str,
    remedy: str,
    command: str | None = None,
    *,
    severity: Severity | None = None,
) -> Finding:
    """A finding of a check, with the severity that the list gives it, unless this one is of another."""
    return Finding(check, severity or CHECKS[check][0], subject, found, expected, remedy, command)
