"""The models of a task: the champion is looked up between batches, at an interval; a batch has one version."""

import logging
import time
from dataclasses import dataclass, field

from pyspark.sql import SparkSession

from sensor_streams.errors import ModelError
from sensor_streams.inference.registry import LoadedModel, Registry
from sensor_streams.streams import ModelKind

log = logging.getLogger("sensor_streams.runtime")


@dataclass
class Champion:
    """The champion of one kind of model."""

    spark: SparkSession
    registry: Registry
    kind: ModelKind
    interval: float
    _loaded: LoadedModel | None = None
    _checked: float = field(default=float("-inf"))

    def there(self) -> bool:
        """True when there is a champion."""
        return self._loaded is not None or self.registry.champion(self.kind) is not None

    def current(self) -> LoadedModel:
        """The model for the next batch. Raises ModelError when there never was a champion.

        A registry that cannot be asked is no reason to stop scoring with the version at hand.
        """
        if self._loaded is not None and time.monotonic() - self._checked < self.interval:
            return self._loaded
        try:
            version = self.registry.champion(self.kind)
        except ModelError as error:
            if self._loaded is None:
                raise
            log.warning(
                "the registry does not answer, scoring goes on with version %s: %s", self._loaded.version, error
            )
            version = None
        self._checked = time.monotonic()
        if version is None:
            if self._loaded is None:
                raise ModelError(f"no {self.kind} model has the alias champion: run `sensor-streams train`")
            return self._loaded
        if self._loaded is None or self._loaded.version != version.version:
            old = self._loaded
            try:
                self._loaded = self.registry.load(self.spark, self.kind, version.version)
            except ModelError as error:
                if old is None:
                    raise
                log.warning("scoring goes on with version %s: %s", old.version, error)
                return old
            log.info("%s model: version %s", self.kind, version.version)
            if old is not None:
                old.release()
        return self._loaded
