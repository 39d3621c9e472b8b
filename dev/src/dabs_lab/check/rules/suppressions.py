"""Rules on suppressions. The engine finds them itself, after all other rules."""

from dabs_lab.check.declaration import Rule, declare

_SOURCE = "docs/check.md"

WITHOUT_REASON = Rule(
    id="D001",
    name="suppression-without-reason",
    severity="error",
    title="A suppression has no reason, or cannot be read",
    reason="Without a reason nobody can decide later whether the suppression is still right. It has no effect.",
    source=_SOURCE,
    fix="Write `# dabs-lab: ignore D102 because <reason>`, or `reason:` in dabs-lab.yml.",
    certain=True,
)
UNUSED = Rule(
    id="D002",
    name="unused-suppression",
    severity="warning",
    title="A suppression hides no finding",
    reason=(
        "The problem is gone, or the suppression is at another place. It would hide a later finding. This is checked"
        " only when all targets and the rule are checked."
    ),
    source=_SOURCE,
    fix="Remove it, or move it to the place of the finding.",
    certain=True,
)
UNKNOWN_RULE = Rule(
    id="D003",
    name="suppression-of-unknown-rule",
    severity="error",
    title="A suppression names a rule that does not exist",
    reason="It has no effect. Most likely the id has a typing error.",
    source=_SOURCE,
    fix="Name a rule of docs/check-rules.md.",
    certain=True,
)

for _rule in (WITHOUT_REASON, UNUSED, UNKNOWN_RULE):
    declare(_rule)
