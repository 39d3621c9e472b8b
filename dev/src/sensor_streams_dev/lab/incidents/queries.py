"""Incidents of single queries."""

from dabs_lab.lab.faults import blocked, hanging, kill, stop_query
from dabs_lab.lab.scene import Scene
from sensor_streams_dev.lab.incidents.declare import (
    READERS,
    SOURCE,
    checkpoint,
    incident,
    newest_file,
    stage_of,
    until_bad,
    until_failed_again,
)
from sensor_streams_dev.lab.lab_bundle import STALL_AFTER

_GROUP = "Queries"


def _fails(scene: Scene) -> None:
    # Not `offsets`: the only batch of a bounded run may have begun.
    commits = checkpoint(scene, "device_sessions") / "commits"
    scene.process_of("device_sessions")
    scene.fault("the checkpoint of device_sessions cannot be written", "device_sessions")
    with blocked(commits):
        scene.land()
        until_bad(scene, "device_sessions")
    scene.repaired("the checkpoint can be written again")


def _hangs(scene: Scene) -> None:
    file = newest_file(scene, SOURCE)
    scene.process_of("device_features")
    scene.fault(f"the storage does not answer for one file of {SOURCE}", *READERS)
    with hanging(file):
        scene.land()
        until_failed_again(scene, 1, STALL_AFTER + 60)
    scene.repaired("the storage answers again")


def _ends(scene: Scene) -> None:
    process = scene.process_of("device_sessions")
    scene.fault("somebody stops the query device_sessions", "device_sessions")
    stop_query(process, "device_sessions")
    scene.land()


def _cannot_start(scene: Scene) -> None:
    process = scene.process_of("alerts")
    offsets = checkpoint(scene, "alerts") / "offsets"
    scene.fault("the process dies while it writes an offset of alerts: half of the file is there", "alerts")
    kill(process)
    newest = max(int(file.name) for file in offsets.iterdir() if file.name.isdigit())
    (offsets / str(newest + 1)).write_text("v1\n{", "utf-8")
    scene.land()


def _remove_half_file(scene: Scene) -> None:
    for file in (checkpoint(scene, "alerts") / "offsets").iterdir():
        if file.name.isdigit() and file.read_text("utf-8") == "v1\n{":
            file.unlink()
    scene.repaired("the file that was written by half is removed", by_person=True)


def _strange_record(scene: Scene) -> None:
    deep = b"[" * 20_000 + b"]" * 20_000
    lines = [
        scene.random.randbytes(200).replace(b"\n", b" ").replace(b"\r", b" "),
        b'{"device_id": "pump-1", "value": ' + deep + b"}",
        b'{"device_id": "pump-1", "value": "' + b"9" * 1_000_000 + b'"}',
        b"\x00\x00\x00",
        b'{"device_id": "pump-1"',
    ]
    scene.fault("a file arrives with five lines that no parser expects", "readings")
    stage_of(scene).land_file("strange.json", b"\n".join(lines) + b"\n", len(lines))
    scene.land()


INCIDENTS = (
    incident(
        "query-fails",
        _GROUP,
        "One query raises an error",
        "The storage rejects one write to the checkpoint of one stream. The seven other streams are healthy.",
        "a file takes the place of the folder `commits` until the query has ended",
        _fails,
        warm=False,
    ),
    incident(
        "query-hangs",
        _GROUP,
        "A query hangs in a batch",
        "A read of the storage never returns. The query is active and makes no progress; no error comes.",
        "a named pipe in place of the newest data file of `sensor_features`, until an attempt has failed",
        _hangs,
        "No row is lost or wrong. After `stall_after` without progress (30 minutes, here 60 s) the task fails.",
        stuck_after=STALL_AFTER,
        warm=False,
    ),
    incident(
        "query-ends",
        _GROUP,
        "A query ends without an error",
        "A person stops a query from the Spark UI, or code calls `stop`. Spark reports no error for it.",
        "`StreamingQuery.stop` from another process, through the session of the task",
        _ends,
        warm=False,
    ),
    incident(
        "query-cannot-start",
        _GROUP,
        "A stream cannot start",
        "The machine loses power while Spark writes an offset. Every restart of that stream fails.",
        "kill -9, and half an offset file in the checkpoint of `alerts`",
        _cannot_start,
        "Nothing is lost. The task fails with the cause until a person removes the file.",
        repair=_remove_half_file,
        needs_repair=True,
        warm=False,
    ),
    incident(
        "strange-record",
        _GROUP,
        "A record that no parser expects",
        "A device writes bytes that are not text, a value nested 20,000 deep, and a line of a megabyte.",
        "a file with five such lines",
        _strange_record,
        "No stream fails. Each line is kept as rejected with its reason, and all others are accepted.",
        warm=False,
    ),
)
