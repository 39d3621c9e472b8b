"""Rule on secrets in the files of a bundle. The forms follow the rules of gitleaks and detect-secrets."""

import re
from collections.abc import Iterator, Sequence

from dabs_lab.bundle.problems import Path
from dabs_lab.bundle.yaml_nodes import Node
from dabs_lab.check.declaration import Finding, Outcome, rule_across_targets
from dabs_lab.check.places import Place, place_at
from dabs_lab.check.views import TargetView

# Characters before and after a token that show that it is part of a longer text.
_START, _END = r"(?<![A-Za-z0-9_/+-])", r"(?![A-Za-z0-9_/+=-])"


def _token(pattern: str) -> re.Pattern[str]:
    return re.compile(f"{_START}(?:{pattern}){_END}")


# Kind of a secret → its form.
_FORMS: dict[str, re.Pattern[str]] = {
    "Databricks token": _token(r"dapi[a-f0-9]{32}(?:-\d)?|dose[a-f0-9]{32}"),
    "AWS access key": _token(r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
    "GitHub token": _token(r"gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{82}"),
    "Slack token": _token(r"xox[abprs]-[A-Za-z0-9-]{20,}"),
    "Slack webhook": re.compile(r"https://hooks\.slack\.com/services/T\w{6,}/B\w{6,}/\w{20,}"),
    "Google API key": _token(r"AIza[\w-]{35}"),
    "Azure storage key": _token(r"[A-Za-z0-9/+]{86}=="),
    "Azure client secret": re.compile(r"(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{31,34}(?![\w~.-])"),
    "SAS token": re.compile(r"[?&]sig=[A-Za-z0-9%/+]{40,}|SharedAccessSignature=\S{20,}"),
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "password in a connection string": re.compile(
        r"(?:^|[;?&])\s*(?:password|pwd|accountkey|sharedaccesskey|sharedsecret)=(?P<value>[^;&\s\"']{6,})",
        re.IGNORECASE,
    ),
    "password in a URL": re.compile(r"[a-z][a-z0-9+]{2,}://[^\s:/@]+:(?P<value>[^\s/@]{4,})@"),
    "password of a SASL login": re.compile(r"\bpassword=\\?[\"'](?P<value>[^\"'\\]{4,})\\?[\"']"),
}
# Fields whose literal value is a secret. Names of scopes and keys of secrets have other endings.
_FIELD = re.compile(
    r"(?:^|[._-])(?:password|passwd|pwd|(?:auth|access|api|bearer|bot|databricks)_?token|token|api_?key|"
    r"client_?secret|(?:secret_)?access_key|account_?key|private_?key|connection_?string)$",
    re.IGNORECASE,
)
_WITHOUT_DIGITS = re.compile(r"(?:^|[._-])(?:password|passwd|pwd)$", re.IGNORECASE)
_AWS_FIELD = re.compile(r"secret[._-]?(?:access[._-]?)?key$", re.IGNORECASE)
# References and placeholders. A secret of Databricks is `{{secrets/scope/key}}`.
_NO_SECRET = re.compile(
    r"\$\{|\{\{|\$\(|^\$|^<|^%|\*{3}|\.{3}|x{4}|your|change_?-?me|replace|example|dummy|placeholder|todo|secret|redacted|"
    r"password|^/|^(?:none|null|true|false)$",
    re.IGNORECASE,
)


@rule_across_targets(
    id="D810",
    name="secret-in-plain-text",
    severity="error",
    title="A secret is written in a file of the bundle",
    reason="Everybody who can read the repository, the deployed files or the job's settings can use it.",
    source="https://docs.databricks.com/aws/en/security/secrets; the forms follow the rules of gitleaks",
    fix=(
        "Revoke the secret first: it stays in the history of the repository. Store the new one in a secret scope and"
        " write `{{secrets/<scope>/<key>}}`, or give it by a variable without default."
    ),
    confidential=True,
)
def secret_in_plain_text(targets: Sequence[TargetView]) -> Iterator[Outcome]:
    """Yield each value or comment that contains a secret. The message names its kind, not the secret."""
    target = targets[0]
    files: set[str] = set()
    for path, node in target.written.walk():
        files.update(position.file for position in node.positions)
        field = _field(target.written, path)
        kind = secret_kind(field, node.text) if node.text else ""
        if kind:
            place = place_at(target.written, path, target.texts)
            yield Finding(place, f"{field} contains a secret in plain text ({kind})")
    for file in () if target.resolved else sorted(files):
        for comment in target.texts.of(file).comments:
            kind = secret_kind("", comment.text)
            if kind:
                yield Finding(Place("comment", comment.position), f"a comment contains a secret in plain text ({kind})")


def secret_kind(field: str, text: str) -> str:
    """Return the kind of the secret in the text of a field; empty if it contains none."""
    for kind, form in _FORMS.items():
        match = form.search(text)
        if match is None or "EXAMPLE" in match[0]:
            continue
        if "value" not in form.groupindex or not _NO_SECRET.search(match["value"]):
            return kind
    if _AWS_FIELD.search(field) and re.fullmatch(r"[A-Za-z0-9/+]{40}", text):
        return "AWS secret key"
    if not _FIELD.search(field) or _NO_SECRET.search(text) or not re.fullmatch(r"\S{6,}", text):
        return ""
    is_mixed = bool(re.search(r"\d", text) and re.search(r"[A-Za-z]", text))
    return "literal value" if is_mixed or _WITHOUT_DIGITS.search(field) else ""


def _field(root: Node, path: Path) -> str:
    """Return the name of a value: of a variable or a parameter for its default, otherwise its key."""
    names = [str(part) for part in path if isinstance(part, str)]
    if names[-1:] == ["default"]:
        parameter = root.text_at(*path[:-1], "name")
        return parameter or (names[-2] if len(names) > 1 else "")
    return names[-1] if names else ""
