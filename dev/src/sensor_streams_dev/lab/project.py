"""This project, as the lab sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dabs_lab.lab.declarations import Incident, Shape
from sensor_streams_dev.lab.incidents import INCIDENTS
from sensor_streams_dev.lab.lab_sets import SETS
from sensor_streams_dev.lab.shapes import SHAPES
from sensor_streams_dev.lab.stage import LabStage, prepared


@dataclass(frozen=True)
class LabProject:
    """folder: of everything that the lab writes; each cell replaces `folder`/home. sets: of files, of each seed."""

    folder: Path
    sets: int = SETS

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
        return LabStage(prepared(self.folder, home, seed, self.sets), home, shape, seed)
