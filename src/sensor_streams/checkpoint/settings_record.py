"""Record of the settings that a stream's table was computed with, next to its checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pyspark.errors import AnalysisException

from sensor_streams.checkpoint.offsets import position_of
from sensor_streams.errors import FleetChangedError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Stream
from sensor_streams.json_files import read_json, write_json
from sensor_streams.settings import Settings
from sensor_streams.streams import STREAMS
from sensor_streams.table_inputs import ComputedWith, computed_with, contradictions, differences, with_removed
from sensor_streams.tables import Catalog

FILE = "computed_with.json"


@dataclass(frozen=True)
class Change:
    """Changed settings of one stream, as text; of_model: changes that need a training."""

    stream: str
    of_table: Sequence[str] = ()
    of_model: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.of_table or self.of_model)

    def lines(self) -> list[str]:
        """Return one line per change."""
        return [f"{self.stream}: {change}" for change in (*self.of_table, *self.of_model)]


@dataclass(frozen=True)
class Records:
    """Records of all streams: one file in the folder of each stream's checkpoint."""

    checkpoints: Path
    catalog: Catalog
    fleet: Fleet

    @classmethod
    def of(cls, settings: Settings, catalog: Catalog, fleet: Fleet) -> "Records":
        """Return the records of the settings' checkpoints."""
        return cls(Path(settings.checkpoints), catalog, fleet)

    def read(self, stream: str) -> ComputedWith | None:
        """Return a stream's record; None if the stream never ran, or only in versions without records."""
        content = read_json(self.checkpoints / stream / FILE)
        if content is None:
            return None
        known = ComputedWith.__dataclass_fields__
        try:
            return ComputedWith(**{name: value for name, value in content.items() if name in known})  # type: ignore[arg-type]
        except TypeError:
            return None

    def write(self, stream: str, record: ComputedWith) -> None:
        """Replace a stream's record in one step."""
        write_json(self.checkpoints / stream / FILE, asdict(record))

    def change(self, stream: Stream) -> Change:
        """Return the changes since the table was computed; without a record, the settings that its rows contradict."""
        was, now = self.read(stream.name), computed_with(stream.name, self.fleet)
        same = was is not None and not was.unfinished and list(was.devices) == list(now.devices)
        if was is not None and same and not any(differences(stream.name, was, now, None)):
            # The usual case reads no table.
            return Change(stream.name)
        if not self._has_rows(stream.name):
            return Change(stream.name) if self._fresh(stream.name, was) else self._compared(stream, was)
        if was is None:
            sources = {name: self.catalog.read(name) for name in stream.sources if self.catalog.exists(name)}
            if len(sources) < len(stream.sources):
                return Change(stream.name)
            rows = self.catalog.read(stream.name)
            try:
                return Change(stream.name, contradictions(stream.name, rows, sources, self.fleet))
            except AnalysisException:
                # A column is missing: the stream itself adds or reports it.
                return Change(stream.name)
        return self._compared(stream, was)

    def record_current(self, stream: str) -> None:
        """Record that the table is computed with the current settings; the record of the model stays unchanged."""
        was, now = self.read(stream), computed_with(stream, self.fleet)
        sensors, learnt = with_removed(stream, was, now), was is not None and was.learnt
        model, trained = now.model, now.trained
        if was is not None and now.model is not None and (learnt or self._has_rows(stream)):
            model, trained = was.model or model, was.trained or trained
        self.write(stream, replace(now, sensors=sensors, model=model, trained=trained, learnt=learnt))

    def record_trained(self, stream: str) -> None:
        """Record that the model of a stream was trained on the current features."""
        was, now = self.read(stream) or ComputedWith(), computed_with(stream, self.fleet)
        self.write(stream, replace(was, model=now.model, trained=now.trained, learnt=True))

    def record_rebuild_begin(self, stream: str, windows: bool) -> None:
        """Record that a rebuild begins: until it has ended, the stream does not start.

        windows: True if they changed; a model without a record then counts as trained on other windows.
        """
        was = self.read(stream)
        if was is None:
            was = computed_with(stream, self.fleet)
            if windows and was.model is not None:
                was = replace(was, model=dict.fromkeys(was.model), learnt=True)
        self.write(stream, replace(was, unfinished=True))

    def to_train(self, stream: str) -> list[str]:
        """Return the changed settings that the next training will use; until then the model scores unchanged."""
        was, now = self.read(stream), computed_with(stream, self.fleet)
        before = {} if was is None or was.trained is None or self._fresh(stream, was) else was.trained
        return [name for name, value in (now.trained or {}).items() if name in before and before[name] != value]

    def _compared(self, stream: Stream, was: ComputedWith | None) -> Change:
        if was is None:
            return Change(stream.name)
        source = next(iter(stream.sources), None)
        devices = self.catalog.read(source) if source is not None and self.catalog.exists(source) else None
        found, of_model = differences(stream.name, was, computed_with(stream.name, self.fleet), devices)
        if was.unfinished:
            found.append("a rebuild of the table was begun and has not ended")
        return Change(stream.name, found, of_model)

    def _has_rows(self, table: str) -> bool:
        return self.catalog.exists(table) and not self.catalog.read(table).isEmpty()

    def _fresh(self, stream: str, was: ComputedWith | None) -> bool:
        """True when the stream has read nothing yet, and no training or unfinished rebuild is recorded."""
        in_use = was is not None and (was.learnt or was.unfinished)
        return not in_use and position_of(self.checkpoints / stream).committed is None


def refuse_changes(records: Records, streams: Sequence[Stream]) -> None:
    """Raise FleetChangedError when the streams' tables were computed with another sensors.yml. Nothing is written.

    The command in the message covers all streams of the checkpoints' folder.
    """
    mine = [change for stream in streams if (change := records.change(stream))]
    if not mine:
        return
    others = [s for s in STREAMS if s not in streams and records.read(s.name) is not None]
    found = [*mine, *(change for stream in others if (change := records.change(stream)))]
    raise FleetChangedError(
        f"stream {mine[0].stream} does not start: its table was computed with another sensors.yml.\n  "
        + "\n  ".join(line for change in found for line in change.lines())
        + "\nNothing was read or written. Set sensors.yml back, or compute the tables again (the command also "
        f"continues a stopped rebuild):\n  {rebuild_command(found)}"
    )


def rebuild_command(changes: Sequence[Change]) -> str:
    """Return the command that applies changes."""
    train = " --train" if any(change.of_model for change in changes) else ""
    return f"{FleetChangedError.COMMAND}{train}"


def not_trained(records: Records, streams: Sequence[Stream]) -> Mapping[str, list[str]]:
    """Return the streams whose model was trained with another sensors.yml, each with the changed settings."""
    found = {stream.name: records.to_train(stream.name) for stream in streams if stream.model is not None}
    return {name: settings for name, settings in found.items() if settings}


def check_features(records: Records) -> None:
    """Raise FleetChangedError when the features for a training were computed with another sensors.yml."""
    streams = [stream for stream in STREAMS if stream.name in ("sensor_features", "device_features")]
    found = [change for stream in streams if (change := records.change(stream))]
    if found:
        raise FleetChangedError(
            "nothing was trained: the features were computed with another sensors.yml.\n  "
            + "\n  ".join(line for change in found for line in change.lines())
            + f"\nSet sensors.yml back, or compute the features again first:\n  {rebuild_command(found)}"
        )


def record_training(records: Records, models: Sequence[str]) -> None:
    """Record which models (by registered name) were trained on the current features."""
    for stream in STREAMS:
        if stream.model is not None and any(name.endswith(stream.model) for name in models):
            records.record_trained(stream.name)
