"""Rules on settings and files that have no effect, or that the CLI no longer accepts."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath

from dabs_lab.bundle import Position
from dabs_lab.bundle.bundle_files import ROOT_FILES
from dabs_lab.bundle.yaml_nodes import ANY_KEY, Node
from dabs_lab.check.declaration import Finding, Outcome, rule, rule_across_targets
from dabs_lab.check.places import Place, place_at
from dabs_lab.check.views import TargetView

_SCHEMA = "JSON schema of the Databricks CLI"
_FOLDER = "resources"
_LARGEST = 1_000_000
# A file with one of these keys at its start is a part of a bundle.
_SECTION = re.compile(r"(?:resources|targets|variables)\s*:")
_ENGINES = [("bundle", "engine"), ("targets", ANY_KEY, "bundle", "engine"), ("targets", ANY_KEY, "engine")]


@rule_across_targets(
    id="D811",
    name="file-without-include",
    severity="warning",
    title="A file in resources/ is not part of the bundle",
    reason="No pattern of `include` matches it, so its jobs are not deployed. The CLI does not report it.",
    source="https://docs.databricks.com/aws/en/dev-tools/bundles/settings (include)",
    fix="Add a pattern to `include`, for example `resources/**/*.yml`, or remove the file.",
)
def file_without_include(targets: Sequence[TargetView]) -> Iterator[Outcome]:
    """Yield each file with bundle settings below resources/ that no include matches."""
    first = targets[0]
    if first.resolved:
        return
    included = {node.text for node in (first.written.get("include") or Node(())).items}
    for file in sorted((first.folder / _FOLDER).rglob("*.y*ml")):
        name = file.relative_to(first.folder).as_posix()
        if name in included or file.suffix not in (".yml", ".yaml") or _belongs_to_another(file, first.folder):
            continue
        line = _section_line(file)
        if line:
            place = Place(f"include.{name}", Position(name, line, 1))
            yield Finding(place, f"no include matches {name}: its content is not deployed")


@rule_across_targets(
    id="D812",
    name="terraform-engine",
    severity="error",
    title="The bundle sets the removed Terraform engine",
    reason=(
        "CLI 1.20 removed the engine: a deploy with this setting fails. A bundle whose `databricks_cli_version` allows"
        " only older versions is not reported."
    ),
    source=(
        "https://github.com/databricks/cli/releases/tag/v1.20.0;"
        " https://github.com/databricks/cli/issues/6765 announced it for 1.19"
    ),
    fix="Remove `engine`, or write `engine: direct`. The first deploy moves the state from Terraform.",
)
def terraform_engine(targets: Sequence[TargetView]) -> Iterator[Outcome]:
    """Yield each `engine: terraform`."""
    first = targets[0]
    if _pins_old_cli(first.written.text_at("bundle", "databricks_cli_version")):
        return
    for pattern in _ENGINES:
        for path, node in first.written.find(pattern):
            if node.text == "terraform":
                yield Finding(
                    place_at(first.written, path, first.texts), "engine: terraform fails with CLI 1.20 and later"
                )


@rule(
    id="D813",
    name="deprecated-setting",
    severity="warning",
    title="A setting is deprecated",
    reason="A later version of the CLI or of the platform may refuse it or ignore it.",
    source=f"{_SCHEMA}, deprecation note of experimental.pydabs",
    fix="Write the setting that the message names.",
)
def deprecated_setting(target: TargetView) -> Iterator[Outcome]:
    """Yield each deprecated setting, with its successor."""
    pydabs = target.root.get_filled("experimental", "pydabs")
    if pydabs is not None and pydabs.positions:
        yield Finding(target.at("experimental", "pydabs"), "experimental.pydabs is deprecated: write python")


def _belongs_to_another(file: FilePath, folder: FilePath) -> bool:
    """Return whether a folder between the bundle and the file holds a bundle of its own."""
    between = [parent for parent in file.parents if folder in parent.parents]
    return any((parent / name).is_file() for parent in between for name in ROOT_FILES)


def _section_line(file: FilePath) -> int:
    """Return the line of the first section of a bundle in a file; 0 if it has none, or cannot be read."""
    try:
        text = file.read_text("utf-8-sig") if file.stat().st_size <= _LARGEST else ""
    except (OSError, UnicodeDecodeError):
        return 0
    return next((number for number, line in enumerate(text.splitlines(), 1) if _SECTION.match(line)), 0)


def _pins_old_cli(versions: str) -> bool:
    """Return whether a range of CLI versions excludes 1.20 and all later versions, such as `< 1.20.0` or `1.19.2`."""
    for part in versions.split(","):
        match = re.fullmatch(r"\s*(<=?|=?|~)\s*v?(\d+)\.(\d+)(\.\d+)?\s*", part)
        if match is None:
            continue
        version, limit = (int(match[2]), int(match[3])), (1, 20)
        if version < limit or (match[1] == "<" and version == limit and match[4] in (None, ".0")):
            return True
    return False
