"""Forms of the project's name, and the names that a project cannot have."""

import keyword
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from types import MappingProxyType

LONGEST = 24


@dataclass(frozen=True)
class Form:
    """One form of the name: how the template spells it, and how it follows from `project_name`."""

    old: str
    expression: str
    of: Callable[[str], str]


def _words(name: str) -> list[str]:
    return [word.capitalize() for word in name.split("_")]


_WORDS = '(regexp "[a-z0-9]+").FindAllString .project_name -1'

# Values of the template without a question: the CLI takes them from the default, because `skip_prompt_if` always holds.
FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "project_name": Form("sensor_streams", "", str),
        "project_dashed": Form(
            "sensor-streams",
            '{{(regexp "_").ReplaceAllString .project_name "-"}}',
            lambda name: name.replace("_", "-"),
        ),
        "project_upper": Form("SENSOR_STREAMS", "{{upper .project_name}}", str.upper),
        "project_camel": Form(
            "SensorStreams",
            f"{{{{range {_WORDS}}}}}{{{{upper (slice . 0 1)}}}}{{{{slice . 1}}}}{{{{end}}}}",
            lambda name: "".join(_words(name)),
        ),
        "project_title": Form(
            "Sensor Streams",
            f"{{{{range $at, $word := {_WORDS}}}}}{{{{if $at}}}} {{{{end}}}}"
            "{{upper (slice $word 0 1)}}{{slice $word 1}}{{end}}",
            lambda name: " ".join(_words(name)),
        ),
    }
)
# Rejects two _ in a row, and one at the end, with the message below.
DASHED_PATTERN = "^[a-z0-9]+(-[a-z0-9]+)*$"
DASHED_MESSAGE = "write one _ between two words, and none at the end"
IN_USE = "is the name of a keyword, a module or a folder: choose another name, such as my_sensors"
ANY_FORM = re.compile("|".join(form.old for form in FORMS.values()))
# Other spellings, which the template cannot replace.
LEFT = re.compile(r"sensor.?streams", re.IGNORECASE)

# Folders that git ignores or that the project has, schemas of Unity Catalog, and commands that a script would hide.
_OTHERS = {
    *(
        "benchmarks",
        "cluster",
        "conftest",
        "dabs_lab",
        "dev",
        "docs",
        "examples",
        "fixtures",
        "resources",
        "scripts",
        "src",
        "test",
        "tests",
    ),
    *("build", "data", "dist", "default", "information_schema"),
    *("activate", "databricks", "git", "java", "make", "pip", "python", "uv"),
}


def forms_of(name: str) -> dict[str, str]:
    """Return the name in each form, by the names of the template's values."""
    return {key: form.of(name) for key, form in FORMS.items()}


def refused_names(root: Path) -> list[str]:
    """Return the names that a project of the template in `root` cannot have, also those of its locked packages."""
    return reserved((root / "requirements.lock").read_text("utf-8").splitlines())


def reserved(locked: Iterable[str] = ()) -> list[str]:
    """Return the names that a project cannot have: keywords, modules, installed and locked packages, own folders.

    `locked` are lines of a requirements file.
    """
    packages = (line.partition("==")[0].strip().lower().replace("-", "_") for line in locked if "==" in line)
    modules = {*sys.stdlib_module_names, *packages_distributions(), *packages, *_OTHERS}
    ours = {form.old for form in FORMS.values()} | {f"{FORMS['project_name'].old}_dev"}
    return sorted(name for name in modules | {*keyword.kwlist} if name.isidentifier() and name not in ours)
