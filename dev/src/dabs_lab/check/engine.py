"""Run the rules over the targets of a bundle, and apply suppressions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

from dabs_lab.bundle import Position
from dabs_lab.bundle.problems import Problem
from dabs_lab.check.bundle_views import LoadedBundle, load_resolved, load_views
from dabs_lab.check.declaration import CannotTell, Finding, Outcome, Rule
from dabs_lab.check.file_texts import FileTexts
from dabs_lab.check.places import Place
from dabs_lab.check.rules import GROUPS, all_rules, id_of
from dabs_lab.check.suppressions import Suppression, suppressions_of, wrong_suppressions
from dabs_lab.errors import ConfigurationError


@dataclass(frozen=True)
class ReportedFinding:
    """Finding of a rule, with all targets that have it."""

    rule: Rule
    place: Place
    message: str
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unanswered:
    """Rule that could not be checked at a place, because the bundle does not say `missing` of its tasks."""

    rule: Rule
    place: Place
    missing: str
    targets: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()

    def merged(self, targets: Iterable[str], tasks: Iterable[str]) -> "Unanswered":
        """Return this entry with more targets and tasks."""
        every = tuple(dict.fromkeys((*self.targets, *targets)))
        return replace(self, targets=every, tasks=tuple(dict.fromkeys((*self.tasks, *tasks))))

    @property
    def where(self) -> str:
        """Return the path with the tasks: `resources.jobs.live (ingest, score)`."""
        return f"{self.place.path} ({', '.join(self.tasks)})" if self.tasks else self.place.path


@dataclass(frozen=True)
class CheckReport:
    """Result of a check: findings sorted by position, and everything that was not checked."""

    findings: tuple[ReportedFinding, ...]
    cannot_tell: tuple[Unanswered, ...]
    # Findings that a suppression hides.
    suppressed: int
    notes: tuple[Problem, ...]
    targets: tuple[str, ...]
    rules: Mapping[str, Rule]
    texts: FileTexts = field(repr=False)
    # Positions are in the JSON of the CLI, not in files of the bundle.
    resolved: bool = False
    # Folder of the files in positions, relative to the current one.
    folder: FilePath = FilePath()

    def file(self, position: Position) -> str:
        """Return the name of a position's file, as an editor opens it from the current folder."""
        return position.file if self.resolved else (self.folder / position.file).as_posix()

    @property
    def exit_code(self) -> int:
        """Return 0 without findings, 1 with findings."""
        return 1 if self.findings else 0


def check_folder(
    folder: FilePath,
    *,
    target: str | None = None,
    every: bool = False,
    resolved: str | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> CheckReport:
    """Check the bundle in a folder for a target (None: the default) or for every target.

    resolved: file with the output of `databricks bundle validate -o json`, `-` for standard input. select, ignore: ids,
    names or prefixes of ids of rules. Raises ConfigurationError for wrong options, BundleError for a bundle that cannot
    be read.
    """
    if every and target is not None:
        raise ConfigurationError("--all checks every target: leave --target out")
    if resolved is not None and (every or target is not None or variables):
        raise ConfigurationError("--resolved is one resolved target: leave --target, --all and --var out")
    known = all_rules()
    chosen = _chosen(known, select, ignore)
    loaded = (
        load_resolved(folder, resolved) if resolved is not None else load_views(folder, target, every, variables or {})
    )
    return _check(loaded, known, chosen, folder)


def check_loaded(loaded: LoadedBundle, select: Sequence[str]) -> CheckReport:
    """Check views of a bundle with the selected rules, for commands that have read the bundle already."""
    known = all_rules()
    return _check(loaded, known, _chosen(known, select, ()), loaded.targets[0].folder)


def _chosen(known: Mapping[str, Rule], select: Sequence[str], ignore: Sequence[str]) -> dict[str, Rule]:
    """Return the selected rules that are not ignored. Raises ConfigurationError for a word that names no rule."""

    def named(word: str, option: str) -> set[str]:
        prefixes = [prefix for prefix, (title, _) in GROUPS.items() if title.lower() == word.lower()]
        prefix = prefixes[0] if prefixes else id_of(word).upper()
        found = {id for id in known if id.startswith(prefix)}
        if not found or not word:
            groups = ", ".join(f"{prefix} ({title})" for prefix, (title, _) in GROUPS.items())
            raise ConfigurationError(f"{option} {word or '(empty)'}: no rule has this id or name; groups: {groups}")
        return found

    included = {id for word in select for id in named(word, "--select")} if select else set(known)
    excluded = {id for word in ignore for id in named(word, "--ignore")}
    if not included - excluded:
        raise ConfigurationError("--select and --ignore leave no rule to check: name fewer rules in --ignore")
    return {id: rule for id, rule in known.items() if id in included - excluded}


def _check(
    loaded: LoadedBundle, known: Mapping[str, Rule], chosen: Mapping[str, Rule], folder: FilePath
) -> CheckReport:
    findings: dict[tuple[str, Position, str], ReportedFinding] = {}
    unanswered: dict[tuple[str, str, str], Unanswered] = {}
    for rule, target, outcome in _outcomes(loaded, chosen.values()):
        if isinstance(outcome, Finding):
            place, key = outcome.place, (rule.id, outcome.place.position, outcome.message)
            earlier = findings.get(key, ReportedFinding(rule, place, outcome.message))
            covered = Place(place.path, place.position, place.covered_by | earlier.place.covered_by)
            targets = tuple(dict.fromkeys((*earlier.targets, *target)))
            findings[key] = ReportedFinding(rule, covered, outcome.message, targets)
        else:
            missing = (rule.id, outcome.place.path, outcome.missing)
            other = unanswered.get(missing, Unanswered(rule, outcome.place, outcome.missing))
            unanswered[missing] = other.merged(target, [outcome.task] if outcome.task else [])
    settings = loaded.targets[0].settings
    suppressions = suppressions_of(loaded.files, loaded.texts, settings)
    used: set[tuple[Suppression, str]] = set()
    kept: list[ReportedFinding] = []
    for found in findings.values():
        hiding = {(one, found.rule.id) for one in suppressions if one.covers(found.rule.id, found.place)}
        used |= hiding
        if not hiding:
            kept.append(found)
    # In one target alone, a suppression may belong to another target.
    judged = set(chosen) if loaded.complete else set()
    for rule, place, message in wrong_suppressions(suppressions, set(known), judged, used):
        if rule.id in chosen:
            kept.append(ReportedFinding(rule, place, message))
    kept.sort(key=lambda one: (one.place.position, one.rule.id, one.message))
    return CheckReport(
        findings=tuple(kept),
        cannot_tell=tuple(unanswered.values()),
        suppressed=len(findings) - len([one for one in kept if one.targets]),
        notes=loaded.notes,
        targets=tuple(view.name for view in loaded.targets),
        rules=chosen,
        texts=loaded.texts,
        resolved=loaded.targets[0].resolved,
        folder=folder,
    )


def _outcomes(loaded: LoadedBundle, rules: Iterable[Rule]) -> Iterator[tuple[Rule, tuple[str, ...], Outcome]]:
    """Yield rule, targets and outcome; an outcome of a rule across targets has all of them."""
    everywhere = tuple(view.name for view in loaded.targets)
    for rule in rules:
        if rule.check is not None:
            for view in loaded.targets:
                yield from ((rule, (view.name,), outcome) for outcome in rule.check(view))
        if rule.across is not None:
            yield from ((rule, everywhere, outcome) for outcome in rule.across(loaded.targets))


__all__ = ["CannotTell", "CheckReport", "ReportedFinding", "Unanswered", "check_folder", "check_loaded"]
