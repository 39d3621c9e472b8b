"""Incidents of tables and of the catalog."""

import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, Field, write_deltalake
from deltalake.schema import PrimitiveType

from dabs_lab.lab.declarations import Shape
from dabs_lab.lab.faults import find_again, kill, lose
from dabs_lab.lab.scene import Scene
from sensor_streams.errors import MachineError
from sensor_streams_dev.lab.incidents.declare import (
    FEATURES,
    INFERENCE,
    READERS,
    SOURCE,
    incident,
    newest_file,
    stage_of,
)
from sensor_streams_dev.lab.table_truth import row_count

_GROUP = "Tables"
_MOVED = "anomaly_scores"
# A commit by delta-rs excludes other writers; Delta's local log store excludes those of its own JVM only.
_TWO_WRITERS = (
    "Delta's local log store excludes writers of the same JVM only. The lab waits until no stream writes this table, "
    "so it shows what a foreign row does, not a conflict."
)


def _table(scene: Scene, name: str) -> Path:
    return stage_of(scene).tables / name


def _point_catalog_to(scene: Scene, location: str) -> None:
    file = stage_of(scene).home / "catalog.json"
    entries = json.loads(file.read_text("utf-8"))
    (name,) = (one for one in entries if one.endswith(f".{_MOVED}"))
    entries[name]["location"] = location
    new = file.with_suffix(".new")
    new.write_text(json.dumps(entries), "utf-8")
    new.replace(file)


def _correct_catalog(scene: Scene) -> None:
    if _written(scene):
        scene.broken.append("rows were written to the wrong location")
    # The home of the seed has the entry of before.
    entries = json.loads((stage_of(scene).data / "home" / "catalog.json").read_text("utf-8"))
    (location,) = (entry["location"] for name, entry in entries.items() if name.endswith(f".{_MOVED}"))
    _point_catalog_to(scene, location)
    scene.repaired(f"the catalog entry of {_MOVED} points to its data again", by_person=True)


def _wrong_place(scene: Scene) -> Path:
    return stage_of(scene).home / "A" / _MOVED


def _written(scene: Scene) -> bool:
    """Return True when the wrong location got rows: then it has files that are newer than the fault."""
    assert scene.fault_at is not None
    fault = time.time() - (time.monotonic() - scene.fault_at)
    return any(file.stat().st_mtime > fault for file in _wrong_place(scene).rglob("*.json"))


def _moved(scene: Scene) -> None:
    process = scene.process_of(_MOVED)
    scene.fault(f"the catalog entry of {_MOVED} points to another folder, and its task dies", *INFERENCE)
    _point_catalog_to(scene, f"file:{_wrong_place(scene)}")
    kill(process)
    scene.land()


def _stale_copy(scene: Scene) -> None:
    scene.process_of(_MOVED)
    # Times of files are kept.
    shutil.copytree(_table(scene, _MOVED), _wrong_place(scene))
    _moved(scene)


def _plain_append(scene: Scene) -> None:
    stage = stage_of(scene)
    right, wrong = (stage.home / folder / "copy_of_readings" for folder in ("B", "A"))
    stage.copy = right

    def point_to(target: Path) -> None:
        places = {"source": stage.tables / "readings", "target": target, "checkpoint": stage.home / "copy-checkpoint"}
        (stage.folder / "copy.json").write_text(json.dumps({name: str(place) for name, place in places.items()}))

    point_to(right)
    first = stage.readings
    scene.until(lambda: row_count(right) == first, "a copy of all readings", 240)
    process = scene.process_of("readings")
    scene.fault("the location of the copy moves to a folder with nothing in it, and its task dies")
    point_to(wrong)
    kill(process)
    scene.land()
    # The new rows are somewhere: what the right folder does not have is lost, not late.
    both = stage.readings
    scene.until(lambda: row_count(right) + row_count(wrong) == both, "a copy of the new readings", 240)


def _appends_plainly(shape: Shape) -> str:
    return "" if shape.id == "awaits_in_order" else "its streams check the location before they write, and use MERGE"


def _second_writer(scene: Scene) -> None:
    table = DeltaTable(str(_table(scene, "alerts")))
    rows = table.to_pyarrow_table()
    foreign = dict.fromkeys(rows.column_names) | {
        "device_id": "foreign",
        "rule": "unusual",
        "opened_at": datetime(2026, 1, 1, tzinfo=UTC),
        "state": "OPEN",
    }
    scene.fault("another program appends a row to alerts", "alerts")
    write_deltalake(table, pa.Table.from_pylist([foreign], rows.schema), mode="append")
    scene.land()


def _rebuild(scene: Scene, stream: str) -> None:
    ended = stage_of(scene).command("rebuild", stream)
    if ended.returncode:
        raise MachineError(f"rebuild failed: {ended.stderr[-500:]}")


def _rebuild_alerts(scene: Scene) -> None:
    scene.stop()
    _rebuild(scene, "alerts")
    scene.repaired("the job is stopped, and `sensor-streams rebuild alerts` removes the row", by_person=True)
    scene.start()


def _recreated(scene: Scene) -> None:
    place = _table(scene, SOURCE)
    old = DeltaTable(str(place))
    rows, partitions = old.to_pyarrow_table(), old.metadata().partition_columns
    scene.fault(f"somebody drops {SOURCE} and creates it again with the same rows", SOURCE, *READERS)
    lose(place)
    write_deltalake(str(place), rows, partition_by=partitions, configuration={"delta.enableChangeDataFeed": "true"})
    scene.land()


def _restore_table(scene: Scene) -> None:
    scene.stop()
    find_again(_table(scene, SOURCE))
    # Batches that a running query wrote to the other table are in no copy of the first one.
    _rebuild(scene, SOURCE)
    scene.repaired(f"the job is stopped, the first table is restored and `{SOURCE}` rebuilt", by_person=True)
    scene.start()


def _log_cut(scene: Scene) -> None:
    table = _table(scene, SOURCE)
    log = table / "_delta_log"
    before = max(_commits(log))
    scene.land()
    driver = scene.driver_of(SOURCE)
    scene.until(lambda: max(_commits(log)) > before, f"a commit of {SOURCE}")
    # Its readers need seconds for this commit, so none of them has committed a batch with it.
    scene.fault(f"the driver dies, and commits of {SOURCE} are deleted that {READERS[0]} has not processed", *FEATURES)
    kill(driver)
    # The newest commit stays, so another one has to follow the one that the readers need.
    DeltaTable(str(table)).alter.set_table_properties({"lab.clean_up": "1"}, raise_if_not_exists=False)
    cut_log(log, _cut(scene))


def cut_log(log: Path, aside: Path) -> None:
    """Move all commits but the newest of a table into a new folder, as a clean-up of the log does.

    A checkpoint has the table's state, so that the table itself can be read.
    """
    DeltaTable(str(log.parent)).create_checkpoint()
    aside.mkdir()
    for commit in _commits(log)[:-1]:
        commit.rename(aside / commit.name)


def restore_log(log: Path, aside: Path) -> None:
    """Restore the commits after `cut_log`."""
    for commit in aside.iterdir():
        commit.rename(log / commit.name)


def _commits(log: Path) -> list[Path]:
    return sorted(file for file in log.glob("*.json") if file.stem.isdigit())


def _cut(scene: Scene) -> Path:
    return stage_of(scene).home / "cut-log"


def _restore_log(scene: Scene) -> None:
    restore_log(_table(scene, SOURCE) / "_delta_log", _cut(scene))
    scene.repaired("the commits are restored from a copy", by_person=True)


def _schema(scene: Scene) -> None:
    scene.fault(f"somebody adds a column to {SOURCE} while streams read and write it", SOURCE, *READERS)
    DeltaTable(str(_table(scene, SOURCE))).alter.add_columns([Field("note", PrimitiveType("string"))])
    scene.land()


def _file_lost(scene: Scene) -> None:
    newest = newest_file(scene, SOURCE)
    scene.fault(f"the newest data file of {SOURCE} is lost", SOURCE, *READERS)
    lose(newest)
    scene.land()


def _restore_file(scene: Scene) -> None:
    for aside in _table(scene, SOURCE).rglob(".lab-*"):
        aside.rename(aside.with_name(aside.name.removeprefix(".lab-")))
    scene.repaired("the file is restored from a copy", by_person=True)


INCIDENTS = (
    incident(
        "location-nothing-there",
        _GROUP,
        "The catalog points to an empty folder",
        "A migration registers a table at A while its data is at B. The task is retried against the wrong location.",
        "another location in the catalog's entry, and kill -9 of the task that writes the table",
        _moved,
        "Nothing is written at A, and nothing is lost. Each attempt says what is wrong until a person corrects it.",
        repair=_correct_catalog,
        needs_repair=True,
        warm=False,
    ),
    incident(
        "location-stale-copy",
        _GROUP,
        "The catalog points to a stale copy",
        "At A there is an old copy of the table, so every read and write works. The rows go to the wrong place.",
        "a copy of the table, its location in the catalog's entry, and kill -9 of the task that writes the table",
        _stale_copy,
        "Nothing is written to the copy, and nothing is lost. Each attempt says what is wrong.",
        repair=_correct_catalog,
        needs_repair=True,
        warm=False,
    ),
    incident(
        "location-plain-append",
        _GROUP,
        "A plain append at an empty location",
        "The catalog points to an empty folder, and a stream appends with `toTable`. A second table begins there.",
        "another location for a copy of `readings` that a stream without checks appends to, and kill -9 of its task",
        _plain_append,
        "Nothing can hold here: the rows are missing where readers look. The deployable shapes refuse such a location.",
        note="The stream is started with the location, as `toTable` does after it has looked up the name.",
        warm=False,
        not_shown=_appends_plainly,
        undetectable="The append succeeds, at the wrong location: no process can know.",
    ),
    incident(
        "second-writer",
        _GROUP,
        "A second writer on the alerts table",
        "A colleague's program appends a row to `alerts`. No stream fails, and the table is wrong.",
        "one row, appended by delta-rs",
        _second_writer,
        "The rows of the streams stay right. `verify` and preflight report the row; a person rebuilds the table.",
        note=_TWO_WRITERS,
        repair=_rebuild_alerts,
        needs_repair=True,
        undetectable="A foreign row breaks no stream. Preflight reports the foreign commit at the next start.",
    ),
    incident(
        "source-recreated",
        _GROUP,
        "A source table is dropped and created again",
        "Somebody replaces `sensor_features` by a table with the same name and rows. Its readers remember the old one.",
        "the table's folder is moved away, and a new table with the same rows is written there",
        _recreated,
        "A start with the other table is refused. After a person has restored and rebuilt the first one, all is right.",
        repair=_restore_table,
        needs_repair=True,
        undetectable="A running query keeps the table's log in memory. The next start finds another id and refuses.",
    ),
    incident(
        "source-log-cut",
        _GROUP,
        "The log of a source is cut",
        "A clean-up removes commits that a reader has not read yet. Spark must not skip them in silence.",
        "kill -9 of the driver after a commit that no reader has processed, and all commits but the newest moved away",
        _log_cut,
        "The reader fails with the reason; after the commits are restored, nothing is lost.",
        repair=_restore_log,
        needs_repair=True,
    ),
    incident(
        "schema-changed",
        _GROUP,
        "The schema changes during the run",
        "Somebody adds a column to a table that streams read and write. The running queries know the old schema.",
        "ALTER TABLE ADD COLUMNS by delta-rs",
        _schema,
    ),
    incident(
        "file-lost",
        _GROUP,
        "A table's file is lost",
        "A life-cycle rule of the storage deletes a data file. The log of the table still names it.",
        "the newest data file of `sensor_features` is moved away",
        _file_lost,
        "The task fails and names the file; after it is restored, nothing is lost.",
        repair=_restore_file,
        needs_repair=True,
    ),
)
