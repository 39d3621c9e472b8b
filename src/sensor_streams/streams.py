"""Declarations of the eight streams. To add one, declare it here; its function is in `features/` or `inference/`."""

from collections.abc import Mapping, Sequence

from sensor_streams.errors import ConfigurationError
from sensor_streams.features import device, sensor, sessions
from sensor_streams.incremental.stream import Stream, Task
from sensor_streams.incremental.time_slots import TimeSlots
from sensor_streams.inference import alert_events, alerts, scoring
from sensor_streams.inference.alert_episodes import AlertEpisodes
from sensor_streams.inference.scored_stream import scored_stream
from sensor_streams.ingest import ingest_tables
from sensor_streams.ingest.landing_scope import LandingFiles

# Partition column of each table that has one.
PARTITIONS = {
    "readings": "event_date",
    "sensor_features": "window_date",
    "device_features": "window_date",
    "device_sessions": "session_date",
    "anomaly_scores": "window_date",
    "remaining_life": "window_date",
}

STREAMS: tuple[Stream, ...] = (
    Stream(
        name="readings",
        task="feature_extraction",
        sources=(),
        columns=ingest_tables.readings_columns,
        key=("device_id", "sensor", "event_time", "sequence"),
        partition="event_date",
        scope=LandingFiles(),
        side_tables=(ingest_tables.rejected_table, ingest_tables.files_table),
    ),
    Stream(
        name="sensor_features",
        task="feature_extraction",
        sources=("readings",),
        columns=sensor.columns,
        key=("device_id", "sensor", "window_start"),
        partition="window_date",
        scope=TimeSlots(
            by=("device_id", "sensor"),
            source_time="event_time",
            sink_time="window_start",
            length=lambda fleet: fleet.short_seconds,
            partitions=PARTITIONS,
        ),
        compute=lambda inputs: sensor.sensor_features(inputs.rows["readings"], inputs.fleet),
        magnitudes=sensor.magnitudes,
    ),
    Stream(
        name="device_features",
        task="feature_extraction",
        sources=("sensor_features",),
        columns=device.columns,
        key=("device_id", "window_start"),
        partition="window_date",
        scope=TimeSlots(
            by=("device_id",),
            source_time="window_start",
            sink_time="window_start",
            length=lambda fleet: fleet.long_seconds,
            # Trends look back over this many long windows, so a late reading changes later windows too.
            ahead=lambda fleet: fleet.windows.lookback * fleet.long_seconds,
            partitions=PARTITIONS,
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
        scope=TimeSlots(
            by=("device_id",),
            source_time="window_start",
            sink_time="session_start",
            length=lambda fleet: int(fleet.sessions.longest.total_seconds()),
            # `continues` depends on the previous slot, so a change near the end of a slot changes the next one.
            ahead=lambda fleet: int(fleet.sessions.gap.total_seconds()) + fleet.short_seconds,
            partitions=PARTITIONS,
        ),
        compute=lambda inputs: sessions.device_sessions(inputs.rows["sensor_features"], inputs.fleet),
        magnitudes=sessions.magnitudes,
    ),
    scored_stream("anomaly_scores", "anomaly", scoring.anomaly_columns, scoring.anomaly_scores, PARTITIONS),
    scored_stream("remaining_life", "remaining_life", scoring.life_columns, scoring.remaining_life, PARTITIONS),
    Stream(
        name="alerts",
        task="inference",
        sources=("anomaly_scores", "remaining_life"),
        columns=alerts.columns,
        key=("device_id", "rule", "opened_at"),
        scope=AlertEpisodes(
            signals=lambda rows, fleet: alerts.signals(rows["anomaly_scores"], rows["remaining_life"], fleet)
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
        columns=alert_events.columns,
        key=("device_id", "rule", "opened_at", "number"),
        scope=alert_events.AlertEventLog(),
    ),
)

BY_NAME: Mapping[str, Stream] = {stream.name: stream for stream in STREAMS}

TASKS: tuple[Task, ...] = ("feature_extraction", "inference")


def unknown_names(names: Sequence[str]) -> list[str]:
    """Return the names that are neither a task nor a stream."""
    return [name for name in names if name not in BY_NAME and name not in TASKS]


def streams_of(names: Sequence[str]) -> list[Stream]:
    """Return the streams of the named tasks and streams, in dependency order; all for no name.

    Raises ConfigurationError for an unknown name.
    """
    if unknown := unknown_names(names):
        raise ConfigurationError(
            f"no stream or task is called {', '.join(unknown)}; "
            f"tasks: {', '.join(TASKS)}; streams: {', '.join(BY_NAME)}"
        )
    return [s for s in STREAMS if not names or s.name in names or s.task in names]
