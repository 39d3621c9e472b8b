"""`dabs-lab.yml`: suppressions, names of parameters that describe streams, groups of streams, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from dabs_lab.bundle import Position
from dabs_lab.bundle.loading import read_file
from dabs_lab.bundle.problems import refuse
from dabs_lab.bundle.yaml_nodes import Node

SETTINGS_FILE = "dabs-lab.yml"
# What a parameter describes → its usual names; `*` stands for any text. A plain `table` may be an input, so it is not
# one of them.
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "streams": ("streams", "stream", "queries"),
    "checkpoints": (
        *("checkpoint", "checkpoint_path", "checkpoint_location", "checkpoint_dir", "checkpointlocation"),
        *("checkpoint_path_*", "checkpoint_location_*", "*_checkpoint_path", "*_checkpoint_location"),
    ),
    # Folder with one checkpoint for each stream.
    "checkpoint_root": (
        "checkpoints",
        "checkpoint_root",
        "checkpoints_path",
        "checkpoint_base",
        "checkpoint_base_path",
    ),
    "writes": ("writes", "target_table", "target_tables", "output_table", "output_tables", "sink_table"),
    "trigger": ("trigger", "trigger_mode", "trigger_interval", "processing_time"),
}
_LIMITS = {"streams_per_driver": 8}


@dataclass(frozen=True)
class FileSuppression:
    """Entry of `ignore`: rule, pattern of paths, reason."""

    rule: str
    where: str
    reason: str
    position: Position


@dataclass(frozen=True)
class CheckSettings:
    """Content of `dabs-lab.yml`."""

    ignore: tuple[FileSuppression, ...] = ()
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(_PARAMETERS))
    # Name of a group → names of its streams.
    stream_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=lambda: dict(_LIMITS))


def load_settings(folder: FilePath) -> CheckSettings:
    """Read `dabs-lab.yml` of a folder; without the file, return the defaults. Raises BundleError with the position."""
    if not (folder / SETTINGS_FILE).is_file():
        return CheckSettings()
    root = read_file(folder, SETTINGS_FILE)
    sections = ("ignore", "parameters", "stream_groups", "limits")
    _known(root, sections, SETTINGS_FILE)
    parameters = _lists(root, "parameters", tuple(_PARAMETERS))
    limits = dict(_LIMITS)
    written = _section(root, "limits", "map")
    _known(written, tuple(_LIMITS), "limits")
    for name, node in written.children.items():
        if not isinstance(node.data, int) or isinstance(node.data, bool):
            raise refuse(f"limits.{name} is not a whole number", "write a number", positions=node.positions[:1])
        limits[name] = node.data
    return CheckSettings(
        ignore=tuple(_suppression(item) for item in _section(root, "ignore", "sequence").items),
        parameters={**_PARAMETERS, **parameters},
        stream_groups=_lists(root, "stream_groups", None),
        limits=limits,
    )


def _known(node: Node, names: tuple[str, ...], where: str) -> None:
    for name, value in node.children.items():
        if name not in names:
            known = ", ".join(names)
            raise refuse(f"{where} has no setting {name}", f"use one of: {known}", positions=value.key_positions)


def _section(root: Node, name: str, kind: str) -> Node:
    """Return a section, empty if it is missing. Raises BundleError for another type."""
    node = root.get_filled(name)
    if node is None:
        return Node({}) if kind == "map" else Node(())
    if node.kind != kind:
        raise refuse(f"expected {kind} at {name}, found {node.kind}", "see docs/check.md", positions=node.positions[:1])
    return node


def _lists(root: Node, section: str, names: tuple[str, ...] | None) -> dict[str, tuple[str, ...]]:
    node = _section(root, section, "map")
    if names is not None:
        _known(node, names, section)
    for name, value in node.children.items():
        if value.kind != "sequence" or any(item.kind != "string" for item in value.items):
            raise refuse(f"{section}.{name} is not a list of names", "write [a, b]", positions=value.positions[:1])
    return {name: tuple(item.text for item in value.items) for name, value in node.children.items()}


def _suppression(item: Node) -> FileSuppression:
    _known(item, ("rule", "where", "reason"), "ignore")
    if not item.text_at("rule") or not item.text_at("where"):
        raise refuse("ignore: an entry needs rule and where", "add them", positions=item.positions[:1])
    return FileSuppression(item.text_at("rule"), item.text_at("where"), item.text_at("reason"), item.positions[0])
