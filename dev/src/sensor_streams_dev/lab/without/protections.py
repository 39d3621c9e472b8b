"""Protections, the incidents that each is about, and how the lab takes them away.

A change replaces a function or a method in a module of the job's process; `sitecustomize` applies it. This module
imports nothing of the wheel, because every Python process of a job imports it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

# Names the protection that a process of a job does without.
VARIABLE = "SENSOR_STREAMS_LAB_WITHOUT"
Change = Callable[[ModuleType], None]


@dataclass(frozen=True)
class Protection:
    """A protection. about: it in words; instead: what happens without it. changes: by module of the wheel.

    java: options of the driver. repaired: False when a person's repair is the protection. incidents: those that need
    it.
    """

    id: str
    about: str
    instead: str
    incidents: tuple[str, ...]
    changes: Mapping[str, Change] = field(default_factory=dict)
    java: str = ""
    repaired: bool = True


def _replaced(path: str, value: object) -> Change:
    """Return a change that sets an attribute, such as `Class.method`, of a module."""

    def change(module: ModuleType) -> None:
        *around, name = path.split(".")
        place: Any = module
        for part in around:
            place = getattr(place, part)
        # A wrong name would take nothing away.
        getattr(place, name)
        setattr(place, name, value)

    return change


def _nothing(*_: object, **__: object) -> None:
    return None


def _lines_without_reason(module: ModuleType) -> None:
    parse = module.parse
    module.parse = lambda lines, fleet: parse(lines, fleet).where("reason IS NULL")  # type: ignore[attr-defined]


def _lines_of_the_newest_hour(module: ModuleType) -> None:
    parse = module.parse

    def newest(lines: Any, fleet: Any) -> Any:
        parsed = parse(lines, fleet)
        (last,) = parsed.selectExpr("max(event_time)").first()
        return (
            parsed
            if last is None
            else parsed.where(parsed.event_time >= module.F.lit(last) - module.F.expr("INTERVAL 1 HOUR"))
        )

    module.parse = newest  # type: ignore[attr-defined]


def _no_replay(module: ModuleType) -> None:
    start, process = module.Worker.start, module.Worker._process

    def started(worker: Any) -> None:
        offsets = worker.folder / "checkpoint" / "offsets"
        found = [int(file.name) for file in offsets.iterdir() if file.name.isdigit()] if offsets.exists() else []
        worker.begun_before = max(found, default=-1)
        start(worker)

    def processed(worker: Any, rows: Any, batch_id: int) -> Any:
        return module.Outcome() if batch_id <= worker.begun_before else process(worker, rows, batch_id)

    module.Worker.start, module.Worker._process = started, processed


def _every_row_is_new(module: ModuleType) -> None:
    difference = module.difference
    module.difference = lambda stored, *rest, **named: difference(stored.where("false"), *rest, **named)  # type: ignore[attr-defined]


def _loss_is_accepted(module: ModuleType) -> None:
    class Accepting:
        """Catalog whose streams skip what a source no longer has."""

        def __init__(self, catalog: Any) -> None:
            self.full_name, self._spark = catalog.full_name, catalog.spark

        @property
        def spark(self) -> Any:
            return self

        @property
        def readStream(self) -> Any:
            return self._spark.readStream.option("failOnDataLoss", "false")

    change_feed = module.change_feed
    module.change_feed = lambda catalog, *rest: change_feed(Accepting(catalog), *rest)  # type: ignore[attr-defined]


def _rows_without_model_are_skipped(module: ModuleType) -> None:
    score = module.score_with_champion

    def scored(*given: Any) -> Any:
        try:
            return score(*given)
        except module.NoModelError:
            return module.Outcome()

    module.score_with_champion = scored  # type: ignore[attr-defined]
    module.Champion.exists = lambda champion: True
    module.Champion._candidates = lambda champion, version: iter(())


_NO_SUPERVISION = _replaced("Supervisor._failures", lambda supervisor: [])
_NO_PREFLIGHT = _replaced("refuse_on_findings", _nothing)

PROTECTIONS = (
    Protection(
        "supervision",
        "The supervisor ends the task when a stream fails.",
        "A failed stream is ignored, and the others go on.",
        ("query-fails", "query-ends", "volume-full", "fails-for-ever", "schema-changed"),
        {"sensor_streams.runtime.supervisor": _NO_SUPERVISION},
    ),
    Protection(
        "start",
        "A task refuses a checkpoint that it cannot use, and ends when a stream cannot start.",
        "It starts the streams that it can, and goes on.",
        ("query-cannot-start",),
        {
            "sensor_streams.runtime.supervisor": _NO_SUPERVISION,
            "sensor_streams.preflight.task_gate": _NO_PREFLIGHT,
        },
    ),
    Protection(
        "stall-watch",
        "A batch without progress for too long is a failure.",
        "The task waits for the batch without end.",
        ("query-hangs",),
        {"sensor_streams.runtime.worker": _replaced("Worker.overdue", False)},
    ),
    Protection(
        "rejections",
        "A line that cannot be read is kept with its reason.",
        "Such lines are dropped.",
        ("strange-record",),
        {"sensor_streams.ingest.parse": _lines_without_reason},
    ),
    Protection(
        "binding",
        "A checkpoint knows the locations of its tables, and a task checks them before it starts.",
        "The task takes whatever location the catalog gives.",
        ("location-nothing-there", "location-stale-copy"),
        {
            "sensor_streams.checkpoint.binding": _replaced("Binding.check", _nothing),
            "sensor_streams.preflight.task_gate": _NO_PREFLIGHT,
        },
    ),
    Protection(
        "repair",
        "A person repairs the table.",
        "Nobody does.",
        ("second-writer", "source-recreated"),
        repaired=False,
    ),
    Protection(
        "data-loss-fails",
        "A stream fails when its source no longer has what it has to read.",
        "The stream reads with `failOnDataLoss=false`.",
        ("source-log-cut",),
        {"sensor_streams.incremental.change_feed": _loss_is_accepted},
    ),
    Protection(
        "missing-file-fails",
        "A query fails when a file of a table is missing.",
        "Spark skips it (`spark.sql.files.ignoreMissingFiles`).",
        ("file-lost",),
        java="-Dspark.sql.files.ignoreMissingFiles=true",
    ),
    Protection(
        "replay",
        "A batch that was cut off is processed again.",
        "The next attempt goes on with the next batch.",
        ("python-killed", "driver-killed", "terminated", "random-kills", "catalog-unavailable"),
        {"sensor_streams.runtime.worker": _no_replay},
    ),
    Protection(
        "comparison",
        "A batch writes only the rows that differ from the stored ones.",
        "It appends every row that it computes.",
        ("checkpoint-lost",),
        {"sensor_streams.incremental.difference": _every_row_is_new},
    ),
    Protection(
        "lease",
        "A second run is refused while another one holds the checkpoints.",
        "The second run takes the checkpoints.",
        ("two-runs", "two-shapes"),
        {"sensor_streams.checkpoint.lease": _replaced("in_use", lambda *_: ())},
    ),
    Protection(
        "wait-for-model",
        "Rows wait until a model can score them; until then an earlier version scores.",
        "Rows that no champion can score are skipped.",
        ("model-deleted", "champion-broken"),
        {"sensor_streams.inference.champions": _rows_without_model_are_skipped},
    ),
    Protection(
        "late-rows",
        "A row counts however late it comes.",
        "Rows that are an hour older than the newest one of their batch are dropped, as behind a watermark.",
        ("backlog",),
        {"sensor_streams.ingest.parse": _lines_of_the_newest_hour},
    ),
)
