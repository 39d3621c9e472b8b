"""Takes protections away from a Python process of a job, at the import of the module that has them.

Python imports a module of this name at its start when its folder is in PYTHONPATH. The deployed code has no switch.
"""

import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from sensor_streams_dev.lab.without.protections import PROTECTIONS, VARIABLE


class _Patched(MetaPathFinder):
    """Finds one module as the other finders do, and changes it after its import."""

    def __init__(self, name: str, change: Callable[[ModuleType], None]) -> None:
        self._name, self._change = name, change

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec of the module; None for all others."""
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            self._change(module)

        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec


for one in PROTECTIONS:
    if one.id == os.environ.get(VARIABLE):
        for changed, function in one.changes.items():
            sys.meta_path.insert(0, _Patched(changed, function))
