"""Report for programs: JSON, SARIF 2.1.0, and workflow commands of GitHub."""

import hashlib
import json
from typing import Any
from urllib.parse import quote

from dabs_lab.bundle import Position
from dabs_lab.check.declaration import Rule
from dabs_lab.check.engine import CheckReport, ReportedFinding
from dabs_lab.check.summaries import in_targets, totals, unanswered_groups

_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_json(report: CheckReport) -> str:
    """Return a report as one JSON object."""

    def place(path: str, position: Position) -> dict[str, Any]:
        return {"path": path, "file": report.file(position), "line": position.line, "column": position.column}

    content = {
        "targets": report.targets,
        "findings": [
            {
                "rule": one.rule.id,
                "name": one.rule.name,
                "severity": one.rule.severity,
                "message": one.message,
                **place(one.place.path, one.place.position),
                "targets": one.targets,
                "fix": one.rule.fix,
            }
            for one in report.findings
        ],
        "cannot_tell": [
            {
                "rule": one.rule.id,
                "missing": one.missing,
                "tasks": one.tasks,
                **place(one.place.path, one.place.position),
                "targets": one.targets,
            }
            for one in report.cannot_tell
        ],
        "suppressed": report.suppressed,
        "notes": [note.summary for note in report.notes],
    }
    return json.dumps(content, indent=2)


def as_github(report: CheckReport) -> str:
    """Return a report as workflow commands, which GitHub shows as annotations of the changed files."""
    lines = []
    for one in report.findings:
        position = one.place.position
        properties = {
            "file": report.file(position),
            "line": str(position.line),
            "col": str(position.column),
            "title": f"{one.rule.id} {one.rule.name}",
        }
        message = f"{one.message}{in_targets(one.targets, report)}\nFix: {one.rule.fix}"
        lines.append(_command(one.rule.severity, properties, message))
    for note in report.notes:
        lines.append(_command("notice", {"title": "dabs-lab check"}, note.summary))
    for missing, rules, places in unanswered_groups(report):
        paths = ", ".join(one.where for one in places)
        lines.append(
            _command("notice", {"title": "dabs-lab check"}, f"cannot tell {missing} ({', '.join(rules)}): {paths}")
        )
    return "\n".join([*lines, totals(report)])


def _command(name: str, properties: dict[str, str], message: str) -> str:
    """Return a workflow command, escaped as in actions/toolkit, packages/core/src/command.ts."""

    def data(text: str) -> str:
        return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    written = (f"{key}={data(value).replace(':', '%3A').replace(',', '%2C')}" for key, value in properties.items())
    return f"::{name} {','.join(written)}::{data(message)}"


def as_sarif(report: CheckReport) -> str:
    """Return a report as SARIF 2.1.0, which GitHub's code scanning and editors read."""
    notifications: list[dict[str, Any]] = [
        {"level": "note", "message": {"text": note.summary}} for note in report.notes
    ]
    for one in report.cannot_tell:
        text = f"cannot tell {one.missing}: {one.where}{in_targets(one.targets, report)}"
        location = _location(report, one.place.path, one.place.position)
        rule = {"id": one.rule.id}
        notifications.append(
            {"level": "note", "message": {"text": text}, "locations": [location], "associatedRule": rule}
        )
    indexes = {id: index for index, id in enumerate(report.rules)}
    run = {
        "tool": {"driver": {"name": "dabs-lab check", "rules": [_sarif_rule(rule) for rule in report.rules.values()]}},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notifications}],
        "results": [_sarif_result(report, one, indexes[one.rule.id]) for one in report.findings],
    }
    return json.dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.reason},
        "help": {"text": f"{rule.fix}\nSource: {rule.source}"},
        "defaultConfiguration": {"level": rule.severity},
    }
    address = rule.source.split(";")[0].split(" ")[0]
    return {**found, "helpUri": address} if address.startswith("https://") else found


def _sarif_result(report: CheckReport, one: ReportedFinding, index: int) -> dict[str, Any]:
    identity = f"{one.rule.id}|{one.place.path}|{one.message}"
    return {
        "ruleId": one.rule.id,
        "ruleIndex": index,
        "level": one.rule.severity,
        "message": {"text": f"{one.message}{in_targets(one.targets, report)}"},
        "locations": [_location(report, one.place.path, one.place.position)],
        # Without the line, so that a finding keeps its identity when lines are added above it.
        "partialFingerprints": {
            "dabsLabFinding/v1": hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
        },
    }


def _location(report: CheckReport, path: str, position: Position) -> dict[str, Any]:
    region = {"startLine": position.line, "startColumn": position.column}
    physical = {"artifactLocation": {"uri": quote(report.file(position), errors="surrogateescape")}, "region": region}
    return {"physicalLocation": physical, "logicalLocations": [{"fullyQualifiedName": path}]}
