"""The models of a task: the champion is looked up between batches, at an interval; a batch has one version.

A version that cannot be used is refused: the last version that scored goes on. Which that was stands next to the
checkpoint, so that the next process knows it too.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from sensor_streams.errors import ModelError, NoModelError, UnusableModelError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Inputs, ModelKind, Outcome, Stream
from sensor_streams.inference.registry import LoadedModel, Registry
from sensor_streams.runtime.error_causes import fault_of_model, worker_crashed
from sensor_streams.runtime.json_files import read_json, write_json
from sensor_streams.tables import Catalog

log = logging.getLogger("sensor_streams.runtime")

FILE = "model.json"
_CRASHED = "the Python process that it ran in crashed"
# So many rows a version gets when it is tried.
_TRIED_ROWS = 100


@dataclass(frozen=True)
class Record:
    """What is kept next to a checkpoint: the versions that scored, newest first, and one that was refused, with why."""

    good: tuple[str, ...] = ()
    refused: str | None = None
    reason: str = ""

    @classmethod
    def read(cls, folder: Path) -> "Record":
        """Read the record in a stream's folder; an empty one when there is none."""
        told = read_json(folder / FILE) or {}
        good, refused = told.get("good"), told.get("refused")
        versions = tuple(str(one) for one in good) if isinstance(good, list) else ()
        return cls(versions, None if refused is None else str(refused), str(told.get("reason", "")))

    def write(self, folder: Path) -> None:
        """Replace the record."""
        write_json(folder / FILE, {"good": list(self.good), "refused": self.refused, "reason": self.reason})


@dataclass
class Champion:
    """The champion of one kind of model, and what scores in its place when it cannot.

    folder: the stream's, where the record is kept. scored: the versions that rows of the stream's table name, which is
    what there is to go by when the record is lost.
    """

    spark: SparkSession
    registry: Registry
    kind: ModelKind
    interval: float
    folder: Path | None = None
    scored: Callable[[], list[str]] = list
    # What the batch that ended last has to report: a version that was refused, and why.
    news: str | None = None
    _loaded: LoadedModel | None = None
    # The champion, and the one that was it when the loaded version was chosen.
    _version: str | None = None
    _in_place_of: str | None = None
    _good: list[LoadedModel] = field(default_factory=list)
    _refused: dict[str, str] = field(default_factory=dict)
    _checked: float = field(default=float("-inf"))
    _record: Record | None = None

    def there(self) -> bool:
        """True when there is a version to score with.

        Raises NoModelError with the reason when the champion is unusable.
        """
        if self._loaded is None and self.registry.champion(self.kind) is None:
            return False
        self.current()
        return True

    def current(self) -> LoadedModel:
        """The model for the next batch. Raises NoModelError when no version can score.

        A registry that cannot be asked is no reason to stop scoring with the version at hand.
        """
        if self._loaded is not None and time.monotonic() - self._checked < self.interval:
            return self._loaded
        try:
            champion = self.registry.champion(self.kind)
            # Without the alias scoring goes on with the version at hand.
            self._version = self._version if champion is None else champion.version
        except ModelError as error:
            if self._version is None:
                raise
            log.warning("the registry does not answer, scoring goes on: %s", error)
        self._checked = time.monotonic()
        if self._version is None:
            raise NoModelError(f"no {self.kind} model has the alias champion: run `sensor-streams train`")
        if self._loaded is None or self._in_place_of != self._version:
            self._loaded, self._in_place_of = self._usable(self._version), self._version
        return self._loaded

    def refuse(self, model: LoadedModel, reason: str) -> None:
        """Do not use a version any more: it could not score a batch."""
        self._refuse(model.version, reason)
        self._good = [one for one in self._good if one.version != model.version]
        # The next batch looks which version is the champion now.
        self._loaded, self._checked = None, float("-inf")

    def others(self, model: LoadedModel) -> bool:
        """True when another version could score in the place of this one."""
        return next(self._candidates(model.version), None) is not None

    def worked(self, model: LoadedModel) -> None:
        """Remember that a version has scored a batch."""
        if self._good and self._good[0].version == model.version:
            return
        older = [one for one in self._good if one.version != model.version]
        self._good = [replace(model, before=None), *older[:1]]
        for one in older[1:]:
            one.release()
        record = self._known()
        good = (model.version, *(v for v in record.good if v != model.version))[:2]
        # What was refused before this version became champion is no news any more.
        refused = record.refused if record.refused in self._refused else None
        self._keep(Record(good, refused, record.reason if refused else ""))

    def _usable(self, version: str) -> LoadedModel:
        """The version, or the best one in its place. Raises NoModelError."""
        if version not in self._refused:
            try:
                loaded = self._load(version)
            except UnusableModelError as error:
                self._refuse(version, str(error))
            else:
                log.info("%s model: version %s", self.kind, version)
                return replace(loaded, before=self._before(version))
        for one in self._candidates(version):
            try:
                loaded = self._load(one)
            except UnusableModelError as error:
                self._refused[one] = str(error)
                continue
            log.warning("%s goes on with version %s", self._named(version), one)
            return loaded
        raise NoModelError(f"{self._named(version)}, and no version before it can score")

    def _candidates(self, version: str) -> Iterator[str]:
        """Versions that scored before, the last one first."""
        tried = {version, *self._refused}
        for one in (*(m.version for m in self._good), *self._known().good):
            if one not in tried:
                tried.add(one)
                yield one
        for one in sorted(self.scored(), key=lambda v: (len(v), v), reverse=True):
            if one not in tried:
                yield one

    def _before(self, version: str) -> LoadedModel | None:
        """The version that scored before this one, for rows that this one does not know."""
        for one in (*(m.version for m in self._good), *self._known().good):
            if one != version and one not in self._refused:
                try:
                    return self._load(one)
                except UnusableModelError:
                    return None
        return None

    def _load(self, version: str) -> LoadedModel:
        known = next((one for one in self._good if one.version == version), None)
        return known or self.registry.load(self.spark, self.kind, version)

    def _refuse(self, version: str, reason: str) -> None:
        self._refused[version] = reason
        self.news = f"{self.registry.name(self.kind)} version {version}: {reason}"
        log.warning("model %s version %s is not used: %s", self.registry.name(self.kind), version, reason)
        self._keep(replace(self._known(), refused=version, reason=reason))

    def _named(self, version: str) -> str:
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
                log.warning("%s: which version scored is not kept: %s", self.folder / FILE, error.strerror)


def by_champion(champion: Champion, score: Callable[[LoadedModel], Outcome], check: Callable[[], None]) -> Outcome:
    """A batch by the champion; by the version before it when that one cannot score the batch.

    Nothing is written before all rows are scored. A replay of the batch by another version finds its rows there, with
    the same features, and leaves them as they are. check: raises when this process may not go on. Raises NoModelError
    when no version can score.
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
        news, champion.news = champion.news, None
        return replace(outcome, model=model.version, refused=news)


def tried(catalog: Catalog, registry: Registry, stream: Stream, version: str, fleet: Fleet) -> str | None:
    """Why a version cannot score a few rows of the features that there are; None when it can. Nothing is written.

    Raises what Spark raises when something else is wrong.
    """
    try:
        if stream.model is None or stream.compute is None or not catalog.exists(stream.sources[0]):
            return None
        model = registry.load(catalog.spark, stream.model, version)
        rows = {name: catalog.read(name).limit(_TRIED_ROWS) for name in stream.sources}
        columns = ", ".join(f"{name} {kind}" for name, kind in stream.columns(fleet))
        nothing = catalog.spark.createDataFrame([], columns)
        stream.compute(Inputs(rows, nothing, fleet, model)).collect()
    except (UnusableModelError, PySparkException) as error:
        reason = fault_of_model(error)
        if reason is None and worker_crashed(error):
            return _CRASHED
        if reason is None:
            raise
        return reason
    return None
