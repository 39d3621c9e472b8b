"""One task of a job: checks at its start, tables, checkpoints and streams."""

import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import SparkSession

from sensor_streams.checkpoint.binding import Binding
from sensor_streams.checkpoint.lease import Lease, this_process
from sensor_streams.checkpoint.settings_record import Records, not_trained, refuse_changes
from sensor_streams.fleet import Fleet, load_fleet
from sensor_streams.incremental.stream import ModelKind, Stream
from sensor_streams.inference.champions import Champion
from sensor_streams.preflight.task_gate import refuse_on_findings
from sensor_streams.runtime.job_session import refuse_connect
from sensor_streams.runtime.progress import BatchFigures, ProgressTable, announce_versions
from sensor_streams.runtime.run_environment import RunEnvironment
from sensor_streams.runtime.supervisor import Supervisor
from sensor_streams.runtime.worker import Worker
from sensor_streams.settings import Settings
from sensor_streams.stores import catalog_of, registry_of
from sensor_streams.streams import STREAMS, TASKS, streams_of
from sensor_streams.table_spec import TableIdentity
from sensor_streams.tables import Catalog

log = logging.getLogger("sensor_streams.runtime")


@dataclass(frozen=True)
class TaskReport:
    """Result of a task without failure: state by stream (DONE, WAITING_FOR_MODEL), and the reasons for waiting."""

    states: Mapping[str, str]
    waits: Mapping[str, str] = field(default_factory=dict)


def run_task(
    spark: SparkSession,
    settings: Settings,
    names: Sequence[str] = (),
    *,
    fleet: Fleet | None = None,
    on_batch: Callable[[BatchFigures], None] | None = None,
    on_start: Callable[[Sequence[Worker]], None] | None = None,
) -> TaskReport:
    """Run streams (all, or those of the named tasks and streams) until all are done; continuous ones do not end.

    on_batch: called with the figures of each batch. on_start: called before the first query starts.
    Raises StreamFailedError with every failure, and before any stream starts: CheckpointInUseError when another run
    uses a checkpoint; PreflightError, BindingError or TableError when names point to other data than the checkpoints;
    FleetChangedError when tables were computed with other settings of sensors.yml; MachineError on Spark Connect
    before Spark 4.3.
    """
    refuse_connect(spark)
    fleet = fleet or load_fleet(settings.sensors)
    if not settings.run:
        settings = settings.model_copy(update={"run": f"local-{uuid.uuid4().hex[:8]}"})
    streams = streams_of(names)
    catalog = catalog_of(spark, settings)
    folders = [Path(settings.checkpoints) / stream.name for stream in streams]
    lease = Lease(folders, this_process(settings.run, settings.attempt), settings.lease_timeout)
    lease.acquire()
    try:
        environment = RunEnvironment.of(spark)
        log.info("run %s, attempt %d: %s", settings.run, settings.attempt, environment)
        announce_versions(environment)
        refuse_on_findings(catalog, settings, streams, fleet)
        _prepare(catalog, settings, fleet, streams)
        closing = threading.Event()
        figures_interval = settings.progress_interval.total_seconds()
        progress = ProgressTable(catalog, _progress_name(streams), figures_interval, environment)
        registry = registry_of(settings)
        model_interval = settings.model_interval.total_seconds()
        champions = {
            s.model: Champion(
                spark, registry, s.model, model_interval, Path(settings.checkpoints) / s.name, _scored(catalog, s)
            )
            for s in streams
            if s.model is not None
        }
        workers = [
            Worker(
                stream=stream,
                settings=settings,
                fleet=fleet.of_any_age() if settings.load_history else fleet,
                catalog=catalog,
                lease=lease,
                progress=progress,
                champion=champions[stream.model] if stream.model is not None else None,
                closing=closing,
                on_batch=on_batch,
            )
            for stream in streams
        ]
        if on_start is not None:
            on_start(workers)

        def ready(kind: ModelKind) -> bool:
            return champions[kind].exists()

        Supervisor(workers, settings, lease, progress, closing, ready).run()
        states = {worker.stream.name: worker.state for worker in workers}
        return TaskReport(states, {w.stream.name: w.waits for w in workers if w.waits is not None})
    finally:
        lease.release()


def _scored(catalog: Catalog, stream: Stream) -> Callable[[], list[str]]:
    """Return a function that returns the model versions in a stream's table."""

    def versions() -> list[str]:
        rows = catalog.read(stream.name).select("model_version").distinct().collect()
        return [str(row["model_version"]) for row in rows]

    return versions


def _progress_name(streams: Sequence[Stream]) -> str:
    """Return the name of the progress table: unique, since no two processes have the lease of one stream."""
    names = {stream.name for stream in streams}
    whole = [task for task in TASKS if names >= {stream.name for stream in STREAMS if stream.task == task}]
    if names == {stream.name for stream in STREAMS if stream.task in whole}:
        return "_".join(whole)
    return "_".join(stream.name for stream in streams)


def _prepare(catalog: Catalog, settings: Settings, fleet: Fleet, streams: Sequence[Stream]) -> None:
    """Check the bindings of the checkpoints, then create or open own tables, then wait for the tables of other tasks.

    Bindings are checked first, so that no column is added to a table that is not the checkpoint's.
    """

    def identify(table: str) -> TableIdentity | None:
        return catalog.identify(table) if catalog.exists(table) else None

    bindings = [_binding(stream, settings, fleet) for stream in streams]
    for binding in bindings:
        binding.check(identify)
    records = Records.of(settings, catalog, fleet)
    refuse_changes(records, streams)
    found: dict[str, TableIdentity] = {}
    for stream in streams:
        for table in stream.tables(fleet):
            found[table.name] = catalog.create(table)
    seconds = settings.table_deadline.total_seconds()
    others = {name for stream in streams for name in stream.sources} - found.keys()
    found |= {name: catalog.wait_for(name, seconds) for name in sorted(others)}
    for binding in bindings:
        binding.write(found)
    for stream in streams:
        records.record_current(stream.name)
    for name, settings_changed in not_trained(records, streams).items():
        log.warning(
            "stream %s: its model was trained before a change of %s: run `sensor-streams train`",
            name,
            ", ".join(settings_changed),
        )


def _binding(stream: Stream, settings: Settings, fleet: Fleet) -> Binding:
    return Binding(
        folder=Path(settings.checkpoints) / stream.name,
        stream=stream.name,
        sinks=[table.name for table in stream.tables(fleet)],
        sources=stream.sources,
        landing=None if stream.sources else settings.landing,
    )
