"""The questions, as `databricks bundle init` reads them, and the check of answers."""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sensor_streams.errors import ConfigurationError
from sensor_streams_dev.new_project.names import DASHED_MESSAGE, DASHED_PATTERN, FORMS, IN_USE, LONGEST, forms_of

SCHEMA_NAME = "databricks_template_schema.json"


def schema() -> dict[str, Any]:
    """Return the content of `databricks_template_schema.json`: the questions, then the forms of the name."""
    text = Path(__file__).with_name(SCHEMA_NAME).read_text("utf-8")
    read: dict[str, Any] = json.loads(text.replace("LONGEST", str(LONGEST - 1)).replace("LENGTH", str(LONGEST)))
    derived = [(key, form.expression) for key, form in FORMS.items() if form.expression]
    for order, (key, expression) in enumerate(derived, len(read["properties"]) + 1):
        # An empty condition always holds, so the CLI does not ask.
        unasked = {"type": "string", "default": expression, "description": "derived", "skip_prompt_if": {}}
        read["properties"][key] = unasked | {"order": order}
    read["properties"]["project_dashed"] |= {
        "pattern": DASHED_PATTERN,
        "pattern_match_failure_message": f"project_name: {DASHED_MESSAGE}",
    }
    return read


def questions() -> dict[str, dict[str, Any]]:
    """Return the questions in their order, without the forms of the name."""
    found = sorted(schema()["properties"].items(), key=lambda item: int(item[1]["order"]))
    return {name: question for name, question in found if question["description"] != "derived"}


def applies(question: Mapping[str, Any], answers: Mapping[str, str]) -> bool:
    """Return False if earlier answers make a question superfluous; its default is used then."""
    conditions = question.get("skip_prompt_if", {}).get("properties", {})
    return not conditions or any(answers.get(name) != one["const"] for name, one in conditions.items())


def problem(question: Mapping[str, Any], answer: object) -> str | None:
    """Return what is wrong with an answer and what to write, or None."""
    if not isinstance(answer, str):
        return f"{json.dumps(answer)} is not text: write it in quotes"
    if "enum" in question and answer not in question["enum"]:
        return f"{answer!r} is unknown: write {', '.join(question['enum'][:-1])} or {question['enum'][-1]}"
    if "pattern" in question and not re.fullmatch(question["pattern"], answer):
        return f"{answer!r}: {question['pattern_match_failure_message']}"
    return None


def read_answers(file: Path) -> dict[str, str]:
    """Read answers from a JSON file, as `databricks bundle init --config-file` does, but refuse unknown names.

    Raises ConfigurationError with file and name if it cannot be read or an answer is wrong.
    """
    try:
        read = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}: give a JSON file of answers") from None
    except ValueError as error:
        raise ConfigurationError(f'{file}: not JSON: {error}; write {{"project_name": "acme"}}') from None
    if not isinstance(read, dict):
        raise ConfigurationError(f'{file}: not an object: write {{"project_name": "acme"}}')
    known = questions()
    for name, answer in read.items():
        if name not in known:
            raise ConfigurationError(f"{file}: {name} is not a question: write one of {', '.join(known)}")
        if wrong := problem(known[name], answer):
            raise ConfigurationError(f"{file}: {name}: {wrong}")
    return read


def name_problem(name: str, refused: Collection[str]) -> str | None:
    """Return what is wrong with a project's name and what to write, or None. `refused` are names in use."""
    if not re.fullmatch(DASHED_PATTERN, forms_of(name)["project_dashed"]):
        return f"{name!r}: {DASHED_MESSAGE}"
    return f"{name!r} {IN_USE}" if name in refused else None


def complete(answers: Mapping[str, str]) -> dict[str, str]:
    """Return all values of the template: the answers, defaults for those left out, and the forms of the name."""
    full = {name: answers.get(name, str(question["default"])) for name, question in questions().items()}
    return full | forms_of(full["project_name"])
