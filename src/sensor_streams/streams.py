"""The eight streams. A ninth is one more declaration here and one function in `features/` or `inference/`.

Each stream writes the one table of its name, and no other stream does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import DataFrame

from sensor_streams.errors import ConfigurationError, ModelError
from sensor_streams.features import device, sensor, sessions
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.difference import Magnitudes
from sensor_streams.incremental.episodes import Since
from sensor_streams.incremental.time_slots import Slots
from sensor_streams.inference import alert_events as events
from sensor_streams.inference import alerts, scoring
from sensor_streams.inference.registry import LoadedModel
from sensor_streams.ingest import ingest_tables as ingest
from sensor_streams.table_spec import Columns, TableSpec

Task = Literal["feature_extraction", "inference"]
ModelKind = Literal["anomaly", "remaining_life"]


@dataclass(frozen=True)
class Files:
    """What a batch touches is its files: lines are decided and appended."""


@dataclass(frozen=True)
class Episodes:
    """What a batch touches is the episodes that changed: they are compared with the events already written."""


@dataclass(frozen=True)
class Inputs:
    """What a stream's function gets: its source rows by table, the stored rows that they may replace, fleet, model.

    trim: leaves those intermediate rows that the touched part is made of (see `keyed.since`).
    """

    rows: Mapping[str, DataFrame]
    stored: DataFrame
    fleet: Fleet
    model: LoadedModel | None = None
    trim: Callable[[DataFrame], DataFrame] = lambda rows: rows


@dataclass(frozen=True)
class Stream:
    """One stream: its name (also its table's), sources, columns, key, what a change touches, and its function.

    magnitudes: of which size the numbers are that a column is a difference of, see `keyed.difference`.
    """

    name: str
    task: Task
    sources: tuple[str, ...]
    columns: Callable[[Fleet], Columns]
    key: tuple[str, ...]
    touches: Files | Slots | Since | Episodes
    compute: Callable[[Inputs], DataFrame] | None = None
    partition: str | None = None
    model: ModelKind | None = None
    magnitudes: Callable[[Fleet], Magnitudes] = lambda _: {}
    # Tables that the same stream writes besides its own, in the same batch.
    beside: tuple[Callable[[Fleet], TableSpec], ...] = ()

    def table(self, fleet: Fleet) -> TableSpec:
        """The specification of the stream's table."""
        return TableSpec(self.name, self.columns(fleet), self.key, self.partition)

    def tables(self, fleet: Fleet) -> list[TableSpec]:
        """The specifications of all tables that the stream writes, its own first."""
        return [self.table(fleet), *(made(fleet) for made in self.beside)]


DATES = {
    "readings": "event_date",
    "sensor_features": "window_date",
    "device_features": "window_date",
    "device_sessions": "session_date",
    "anomaly_scores": "window_date",
    "remaining_life": "window_date",
}

_WINDOW = ("device_id", "window_start")


def _per_window(fleet: Fleet) -> int:
    return fleet.long_seconds


def _rescored(inputs: Inputs, score: Callable[[DataFrame, LoadedModel, Fleet], DataFrame]) -> DataFrame:
    """Score the rows whose features changed; the others keep their score and the version that gave it."""
    if inputs.model is None:
        raise ModelError("no model was given: train one, or set the alias of the registered model")
    features = inputs.rows["device_features"]
    hashed = features.withColumn("input_hash", scoring.input_hash(features))
    same = [*_WINDOW, "input_hash"]
    changed = hashed.join(inputs.stored.select(*same), same, "left_anti")
    kept = inputs.stored.join(hashed.select(*same), same, "left_semi")
    return score(changed.drop("input_hash"), inputs.model, inputs.fleet).unionByName(kept)


STREAMS: tuple[Stream, ...] = (
    Stream(
        name="readings",
        task="feature_extraction",
        sources=(),
        columns=ingest.readings_columns,
        key=("device_id", "sensor", "event_time", "sequence"),
        partition="event_date",
        touches=Files(),
        beside=(ingest.rejected_table, ingest.files_table),
    ),
    Stream(
        name="sensor_features",
        task="feature_extraction",
        sources=("readings",),
        columns=sensor.columns,
        key=("device_id", "sensor", "window_start"),
        partition="window_date",
        touches=Slots(
            by=("device_id", "sensor"),
            source_time="event_time",
            sink_time="window_start",
            length=lambda fleet: fleet.short_seconds,
            dates=DATES,
        ),
        compute=lambda inputs: sensor.sensor_features(inputs.rows["readings"], inputs.fleet),
        magnitudes=sensor.magnitudes,
    ),
    Stream(
        name="device_features",
        task="feature_extraction",
        sources=("sensor_features",),
        columns=device.columns,
        key=_WINDOW,
        partition="window_date",
        touches=Slots(
            by=("device_id",),
            source_time="window_start",
            sink_time="window_start",
            length=_per_window,
            # Trends look back over this many long windows, so a late reading changes the ones that look at it.
            ahead=lambda fleet: fleet.windows.lookback * fleet.long_seconds,
            dates=DATES,
        ),
        compute=lambda inputs: device.device_features(inputs.rows["sensor_features"], inputs.fleet),
        magnitudes=device.magnitudes,
    ),
    Stream(
        name="device_sessions",
        task="feature_extraction",
        sources=("sensor_features",),
        columns=sessions.columns,
        key=("device_id", "session_start"),
        partition="session_date",
        touches=Slots(
            by=("device_id",),
            source_time="window_start",
            sink_time="session_start",
            length=lambda fleet: int(fleet.sessions.longest.total_seconds()),
            # A session that goes on from the slot before says so.
            ahead=lambda fleet: int(fleet.sessions.gap.total_seconds()) + fleet.short_seconds,
            dates=DATES,
        ),
        compute=lambda inputs: sessions.device_sessions(inputs.rows["sensor_features"], inputs.fleet),
        magnitudes=sessions.magnitudes,
    ),
    Stream(
        name="anomaly_scores",
        task="inference",
        sources=("device_features",),
        columns=scoring.anomaly_columns,
        key=_WINDOW,
        partition="window_date",
        touches=Slots(("device_id",), "window_start", "window_start", _per_window, dates=DATES),
        compute=lambda inputs: _rescored(inputs, scoring.anomaly_scores),
        model="anomaly",
        magnitudes=scoring.magnitudes,
    ),
    Stream(
        name="remaining_life",
        task="inference",
        sources=("device_features",),
        columns=scoring.life_columns,
        key=_WINDOW,
        partition="window_date",
        touches=Slots(("device_id",), "window_start", "window_start", _per_window, dates=DATES),
        compute=lambda inputs: _rescored(inputs, scoring.remaining_life),
        model="remaining_life",
        magnitudes=scoring.magnitudes,
    ),
    Stream(
        name="alerts",
        task="inference",
        sources=("anomaly_scores", "remaining_life"),
        columns=alerts.columns,
        key=("device_id", "rule", "opened_at"),
        touches=Since(
            sources=("anomaly_scores", "remaining_life"),
            signals=lambda rows, fleet: alerts.signals(rows["anomaly_scores"], rows["remaining_life"], fleet),
        ),
        compute=lambda inputs: alerts.alerts(
            inputs.trim(alerts.signals(inputs.rows["anomaly_scores"], inputs.rows["remaining_life"], inputs.fleet)),
            inputs.fleet,
        ),
        magnitudes=alerts.magnitudes,
    ),
    Stream(
        name="alert_events",
        task="inference",
        sources=("alerts",),
        columns=events.columns,
        key=("device_id", "rule", "opened_at", "number"),
        touches=Episodes(),
    ),
)

BY_NAME: Mapping[str, Stream] = {stream.name: stream for stream in STREAMS}

TASKS: tuple[Task, ...] = ("feature_extraction", "inference")


def streams_of(names: Sequence[str]) -> list[Stream]:
    """The streams of the named tasks or of the named streams, in dependency order. Raises ConfigurationError."""
    unknown = [name for name in names if name not in BY_NAME and name not in TASKS]
    if unknown:
        raise ConfigurationError(
            f"no stream or task is called {', '.join(unknown)}; "
            f"tasks: {', '.join(TASKS)}; streams: {', '.join(BY_NAME)}"
        )
    return [s for s in STREAMS if not names or s.name in names or s.task in names]
