"""Suppressions: comments in the bundle's files and entries of `dabs-lab.yml`, each with a reason."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from dabs_lab.bundle import Position
from dabs_lab.check.declaration import Rule
from dabs_lab.check.file_texts import FileTexts
from dabs_lab.check.places import Place
from dabs_lab.check.rules import id_of
from dabs_lab.check.rules.suppressions import UNKNOWN_RULE, UNUSED, WITHOUT_REASON
from dabs_lab.check.settings import CheckSettings

_COMMENT = re.compile(r"#\s*dabs-lab:\s*ignore\s+([\w\s,-]+?)(?:\s+because\b\s*(.*))?$", re.IGNORECASE)
_START = re.compile(r"#\s*dabs-lab:", re.IGNORECASE)
_FORM = "# dabs-lab: ignore D102 because <reason>"


@dataclass(frozen=True)
class Suppression:
    """Rules that are ignored at a line of a file, or at paths that match a pattern."""

    rules: tuple[str, ...]
    reason: str
    position: Position
    # Line that a comment describes; None for an entry of dabs-lab.yml.
    line: int | None = None
    where: str = ""

    def covers(self, rule: str, place: Place) -> bool:
        """Return whether it hides a finding of a rule at a place."""
        if rule not in self.rules or not self.reason:
            return False
        if self.line is not None:
            return (self.position.file, self.line) in place.covered_by
        return fnmatchcase(place.path, self.where) or place.path.startswith(f"{self.where}.")


def suppressions_of(files: Sequence[str], texts: FileTexts, settings: CheckSettings) -> list[Suppression]:
    """Return the suppressions in the comments of files, and those of `dabs-lab.yml`."""
    found = [Suppression((id_of(one.rule),), one.reason, one.position, where=one.where) for one in settings.ignore]
    for file in files:
        for comment in texts.of(file).comments:
            if not _START.match(comment.text):
                continue
            match = _COMMENT.match(comment.text)
            rules = tuple(id_of(word) for word in re.split(r"[\s,]+", match[1])) if match else ()
            found.append(Suppression(rules, (match[2] or "") if match else "", comment.position, comment.describes))
    return found


def wrong_suppressions(
    suppressions: Sequence[Suppression],
    known: Collection[str],
    checked: Collection[str],
    used: Collection[tuple[Suppression, str]],
) -> Iterator[tuple[Rule, Place, str]]:
    """Yield rule, place and message for suppressions without a reason, of unknown rules, or without a finding.

    known: ids of all rules. checked: ids of rules whose unused suppressions are findings. used: suppressions with a
    finding, and its rule.
    """
    for one in suppressions:
        place = Place(one.where or "suppression", one.position)
        if not one.reason:
            form = _FORM if one.line is not None else "reason: <reason>"
            problem = "has no effect without a reason" if one.rules else "cannot be read and has no effect"
            yield WITHOUT_REASON, place, f"the suppression {problem}: write `{form}`"
        for rule in one.rules:
            if rule not in known:
                yield UNKNOWN_RULE, place, f"rule {rule} does not exist"
            elif one.reason and rule in checked and (one, rule) not in used:
                yield UNUSED, place, f"no finding of {rule} here: remove the suppression, or move it to its place"
