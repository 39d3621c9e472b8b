"""All rules, by group. A module here declares the rules of one group, or a part of it."""

from importlib import import_module

from dabs_lab.check.declaration import RULES, Rule

# Id prefix → title and modules. The order is the order of the docs.
GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "D0": ("Suppressions", ("suppressions",)),
    "D1": ("Triggers", ("triggers", "live_jobs")),
    "D2": ("Dependencies", ("dependencies", "run_if")),
    "D3": ("Shared fate", ("shared_fate",)),
    "D4": ("Retries", ("retries",)),
    "D5": ("Silence", ("silence",)),
    "D6": ("State", ("checkpoints", "targets", "state")),
    "D7": ("Compute", ("stream_compute", "clusters", "access_modes")),
    "D8": ("Delivery", ("wheels", "production", "variables", "plain_text_secrets", "bundle_settings", "parameters")),
}


def all_rules() -> dict[str, Rule]:
    """Return all rules by id, sorted."""
    for _, modules in GROUPS.values():
        for module in modules:
            import_module(f"dabs_lab.check.rules.{module}")
    return dict(sorted(RULES.items()))


def id_of(word: str) -> str:
    """Return the id of a rule by its name, or by its id in lower case; any other word unchanged."""
    named = {name: id for id, rule in all_rules().items() for name in (rule.name, id.lower())}
    return named.get(word.lower(), word)
