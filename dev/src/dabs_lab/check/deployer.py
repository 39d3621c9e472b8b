"""Names that stand for the user who deploys: the check queries no workspace."""

import re

USER = "you@localhost"
# User of a production target: the CLI accepts one without a root path from a service principal, and so from CI.
PRINCIPAL = "00000000-0000-0000-0000-000000000000"
# `userName` and `short_name` of both, as a part of a path or of a name.
_NAMES = re.compile(r"(?<![^\W_])(?:you(?:@localhost)?|0{8}(?:[-_]0{4}){3}[-_]0{12})(?![^\W_])")


def names_the_deployer(text: str) -> bool:
    """Return whether a path or a name contains `${workspace.current_user…}`: it is different for each user."""
    return bool(_NAMES.search(text))
