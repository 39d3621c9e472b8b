"""This project, as the lab sees it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dabs_lab.lab.declarations import Incident, Shape
from sensor_streams_dev.lab import without
from sensor_streams_dev.lab.incidents import INCIDENTS
from sensor_streams_dev.lab.lab_sets import SETS
from sensor_streams_dev.lab.shapes import SHAPES
from sensor_streams_dev.lab.stage import ENVIRONMENT, JAVA, LabStage, prepared
from sensor_streams_dev.lab.without.protections import VARIABLE, Protection


@dataclass(frozen=True)
class LabProject:
    """folder: of everything that the lab writes; each cell replaces `folder`/home. sets: of files, of each seed.

    without: a protection that the processes of the jobs do without.
    """

    folder: Path
    sets: int = SETS
    without: Protection | None = None

    @property
    def shapes(self) -> Sequence[Shape]:
        """Shapes, in the order of the report."""
        return SHAPES

    @property
    def incidents(self) -> Sequence[Incident]:
        """Incidents, in the order of the report."""
        return INCIDENTS

    def open(self, shape: Shape, seed: int) -> LabStage:
        """Return a new stage; makes the data of the seed at their first use."""
        home = self.folder / "home"
        more = {} if self.without is None else environment_without(self.without)
        return LabStage(prepared(self.folder, home, seed, self.sets), home, shape, seed, more)


def environment_without(protection: Protection) -> Mapping[str, str]:
    """Return variables of a job's processes that take a protection away from them."""
    folder = Path(without.__file__).parent
    return {
        VARIABLE: protection.id,
        "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
        JAVA: f"{ENVIRONMENT[JAVA]} {protection.java}".strip(),
    }
