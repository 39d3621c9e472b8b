"""Choice of the model version that scores a batch.

The champion is looked up between batches, at an interval. A version that cannot score is refused, and the last version
that scored is used again. A file next to the checkpoint names it for the next process.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from sensor_streams.error_causes import fault_of_model, worker_crashed
from sensor_streams.errors import ModelError, NoModelError, UnavailableModelError, UnusableModelError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Inputs, ModelKind, Outcome, Stream
from sensor_streams.inference.registry import LoadedModel, Registry
from sensor_streams.json_files import read_json, write_json
from sensor_streams.tables import Catalog

log = logging.getLogger("sensor_streams.runtime")

FILE = "model.json"
_CRASHED = "its Python process crashed"
_TRIED_ROWS = 100


@dataclass(frozen=True)
class Record:
    """Record next to a checkpoint: the versions that scored, newest first, and the refused version with the reason."""

    good: tuple[str, ...] = ()
    refused: str | None = None
    reason: str = ""

    @classmethod
    def read(cls, folder: Path) -> "Record":
        """Read the record in a stream's folder; an empty one without a file."""
        content = read_json(folder / FILE) or {}
        good, refused = content.get("good"), content.get("refused")
        versions = tuple(str(version) for version in good) if isinstance(good, list) else ()
        return cls(versions, None if refused is None else str(refused), str(content.get("reason", "")))

    def write(self, folder: Path) -> None:
        """Replace the record."""
        write_json(folder / FILE, {"good": list(self.good), "refused": self.refused, "reason": self.reason})


@dataclass
class Champion:
    """Champion of one kind of model, or an earlier version when the champion cannot score.

    folder: folder of the stream, with the record. scored: returns the versions named in the stream's table, used when
    the record is lost.
    """

    spark: SparkSession
    registry: Registry
    kind: ModelKind
    interval: float
    folder: Path | None = None
    scored: Callable[[], list[str]] = list
    # Refused version and reason, for the report of the last batch.
    refusal: str | None = None
    _loaded: LoadedModel | None = None
    # Current champion, and the champion for which `_loaded` was chosen.
    _version: str | None = None
    _loaded_for: str | None = None
    _good: list[LoadedModel] = field(default_factory=list)
    _refused: dict[str, str] = field(default_factory=dict)
    # Those among them whose files could not be fetched: they are tried again after the interval.
    _unavailable: set[str] = field(default_factory=set)
    _checked: float = field(default=float("-inf"))
    _record: Record | None = None

    def exists(self) -> bool:
        """True when a version can score. Raises NoModelError with the reason when the champion is unusable."""
        if self._loaded is None and self.registry.champion(self.kind) is None:
            return False
        self.current()
        return True

    def current(self) -> LoadedModel:
        """Return the model for the next batch. Raises NoModelError when no version can score.

        While the registry does not answer, the loaded version is used.
        """
        if self._loaded is not None and time.monotonic() - self._checked < self.interval:
            return self._loaded
        try:
            champion = self.registry.champion(self.kind)
            # If the alias was removed, the last version is used.
            self._version = self._version if champion is None else champion.version
        except ModelError as error:
            if self._version is None:
                raise
            log.warning("the registry does not answer, scoring goes on: %s", error)
        self._checked = time.monotonic()
        if self._version is None:
            raise NoModelError(f"no {self.kind} model has the alias champion: run `sensor-streams train`")
        if self._loaded is None or self._loaded_for != self._version:
            self._loaded = self._usable(self._version)
            self._loaded_for = None if self._version in self._unavailable else self._version
        return self._loaded

    def refuse(self, model: LoadedModel, reason: str) -> None:
        """Stop using a version that could not score a batch."""
        self._refuse(model.version, reason)
        self._good = [good for good in self._good if good.version != model.version]
        # The next batch looks up the champion.
        self._loaded, self._checked = None, float("-inf")

    def others(self, model: LoadedModel) -> bool:
        """True when another version could score instead of this one."""
        return next(self._candidates(model.version), None) is not None

    def worked(self, model: LoadedModel) -> None:
        """Remember that a version has scored a batch."""
        if self._good and self._good[0].version == model.version:
            return
        older = [good for good in self._good if good.version != model.version]
        self._good = [replace(model, before=None), *older[:1]]
        for unused in older[1:]:
            unused.release()
        record = self._known()
        good = (model.version, *(v for v in record.good if v != model.version))[:2]
        # A version that was refused before this one became champion is no longer reported.
        refused = record.refused if record.refused in self._refused else None
        self._keep(Record(good, refused, record.reason if refused else ""))

    def _usable(self, version: str) -> LoadedModel:
        """Load the version, or the latest usable one instead. Raises NoModelError."""
        for missed in self._unavailable:
            self._refused.pop(missed, None)
        self._unavailable.clear()
        if version not in self._refused:
            try:
                loaded = self._load(version)
            except UnusableModelError as error:
                self._refuse(version, str(error))
            else:
                log.info("%s model: version %s", self.kind, version)
                if self.refusal == self._refusal(version, self._known().reason):
                    self.refusal = None
                return replace(loaded, before=self._before(version))
        for other in self._candidates(version):
            try:
                loaded = self._load(other)
            except UnusableModelError as error:
                self._refused[other] = str(error)
                continue
            log.warning("%s; version %s scores instead", self._not_used(version), other)
            return loaded
        raise NoModelError(f"{self._not_used(version)}, and no version before it can score")

    def _candidates(self, version: str) -> Iterator[str]:
        """Yield the versions that scored before, the last one first."""
        tried = {version, *self._refused}
        for other in (*(m.version for m in self._good), *self._known().good):
            if other not in tried:
                tried.add(other)
                yield other
        for other in sorted(self.scored(), key=lambda v: (len(v), v), reverse=True):
            if other not in tried:
                yield other

    def _before(self, version: str) -> LoadedModel | None:
        """Return the version that scored before this one, for rows of devices that this one does not know."""
        for other in (*(m.version for m in self._good), *self._known().good):
            if other != version and other not in self._refused:
                try:
                    return self._load(other)
                except UnusableModelError:
                    return None
        return None

    def _load(self, version: str) -> LoadedModel:
        known = next((good for good in self._good if good.version == version), None)
        try:
            return known or self.registry.load(self.spark, self.kind, version)
        except UnavailableModelError:
            self._unavailable.add(version)
            raise

    def _refuse(self, version: str, reason: str) -> None:
        self._refused[version] = reason
        self.refusal = self._refusal(version, reason)
        log.warning("model %s version %s is not used: %s", self.registry.name(self.kind), version, reason)
        self._keep(replace(self._known(), refused=version, reason=reason))

    def _refusal(self, version: str, reason: str) -> str:
        return f"{self.registry.name(self.kind)} version {version}: {reason}"

    def _not_used(self, version: str) -> str:
        return f"model {self.registry.name(self.kind)} version {version} is not used ({self._refused[version]})"

    def _known(self) -> Record:
        if self._record is None:
            self._record = Record() if self.folder is None else Record.read(self.folder)
        return self._record

    def _keep(self, record: Record) -> None:
        if record == self._known():
            return
        self._record = record
        if self.folder is not None:
            try:
                record.write(self.folder)
            except OSError as error:
                log.warning("%s: the version that scored was not recorded: %s", self.folder / FILE, error.strerror)


def score_with_champion(
    champion: Champion, score: Callable[[LoadedModel], Outcome], check: Callable[[], None]
) -> Outcome:
    """Score a batch with the champion, or with an earlier version when the champion cannot score it.

    Nothing is written before all rows are scored. A replay with another version keeps the scores that were written,
    because their features did not change. check: raises when this process must stop. Raises NoModelError when no
    version can score.
    """
    while True:
        model = champion.current()
        try:
            outcome = score(model)
        except Exception as error:
            reason = fault_of_model(error)
            if reason is None and worker_crashed(error) and champion.others(model):
                reason = _CRASHED
            if reason is None:
                raise
            champion.refuse(model, reason)
            check()
            continue
        champion.worked(model)
        refusal, champion.refusal = champion.refusal, None
        return replace(outcome, model=model.version, refused=refusal)


def try_version(catalog: Catalog, registry: Registry, stream: Stream, version: str, fleet: Fleet) -> str | None:
    """Try a version on a few stored rows, without writing. Return the reason why it cannot score, None if it can.

    Other errors of Spark are raised.
    """
    try:
        if stream.model is None or stream.compute is None or not catalog.exists(stream.sources[0]):
            return None
        model = registry.load(catalog.spark, stream.model, version)
        rows = {name: catalog.read(name).limit(_TRIED_ROWS) for name in stream.sources}
        columns = ", ".join(f"{name} {kind}" for name, kind in stream.columns(fleet))
        empty = catalog.spark.createDataFrame([], columns)
        stream.compute(Inputs(rows, empty, fleet, model)).collect()
    except (UnusableModelError, PySparkException) as error:
        reason = fault_of_model(error)
        if reason is None and worker_crashed(error):
            return _CRASHED
        if reason is None:
            raise
        return reason
    return None
