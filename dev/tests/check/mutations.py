"""Mutations of bundles: values dropped, replaced, shared, nested, and text that is no longer YAML."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from dev.tests.check.examples import EXAMPLES

CASES = Path(__file__).parents[1] / "bundle" / "cases"
Draw = Callable[[st.SearchStrategy[Any]], Any]
Bundle = dict[str, str]

_RICH = """\
bundle: {name: rich}
include: [resources/*.yml]
variables:
  tasks:
    type: complex
    default:
      - {task_key: load, existing_cluster_id: a, notebook_task: {notebook_path: /Workspace/Shared/load}}
  pause: {default: PAUSED}
definitions:
  cluster: &cluster {spark_version: 18.x-scala2.13, node_type_id: m5d.large, num_workers: 2}
  retries: &retries
    max_retries: -1
    retry_on_timeout: true
targets:
  dev: {mode: development, default: true}
  prod:
    mode: production
    run_as: {user_name: a@example.org}
    workspace: {root_path: /Workspace/Shared/x}
    variables: {pause: UNPAUSED}
    resources: {jobs: {live: {tasks: [{task_key: ingest, max_retries: 5}]}}}
resources:
  jobs:
    live:
      # dabs-lab: ignore D102 because it is an example
      continuous: {pause_status: "${var.pause}", task_retry_mode: ON_FAILURE}
      job_clusters: [{job_cluster_key: main, new_cluster: {<<: *cluster, num_workers: 0}}]
      tasks:
        - task_key: ingest  # streams: readings
          <<: *retries
          job_cluster_key: main
          notebook_task: {notebook_path: /Workspace/Shared/ingest, base_parameters: {streams: readings}}
        - task_key: each
          depends_on: [{task_key: ingest}]
          for_each_task:
            inputs: "[1, 2]"
            task: {task_key: one, notebook_task: {notebook_path: /Workspace/Shared/one}}
    daily: {tasks: "${var.tasks}", schedule: {quartz_cron_expression: "0 0 5 * * ?", timezone_id: UTC}}
  pipelines: {p: {continuous: true, libraries: [{notebook: {path: /Workspace/Shared/p}}]}}
"""
_INCLUDED = """\
resources:
  jobs:
    score:
      parameters: [{name: streams, default: scores}]
      trigger: {periodic: {interval: 1, unit: HOURS}}
      tasks:
        - task_key: score
          spark_python_task: {python_file: /Workspace/Shared/score.py, parameters: [--trigger, endless]}
          environment_key: main
      environments: [{environment_key: main, spec: {environment_version: "4"}}]
"""
_SETTINGS = """\
parameters: {streams: [flows], checkpoint_root: [state_folder]}
stream_groups: {features: [sensor_features]}
limits: {streams_per_driver: 8}
ignore: [{rule: D102, where: resources.jobs.live.*, reason: it is an example}]
"""

_ODD: list[Any] = [
    *(None, "", 0, -1, 1.5, True, 2**63, 2**70, float("nan"), float("inf"), [], {}, [None], [[]], {"a": None}),
    *("x", "é\u2028😀", "\ud800", "%", "a: b", "2026-01-01", "UNPAUSED", "-1", "٣", "²", "1" * 5000),
    *("a\0b", "../../x.py", "~nosuch/x.py", "x/" * 3000, "http://[", "[", "**", "*.yml", "?", "("),
    *("${var.nosuch}", "${var.", "${resources.jobs.live.id}", "${resources.jobs.live}", "${bundle.target[9].x}"),
    *("${workspace.current_user.userName}", "${var.tasks}", "{{job.parameters.streams}}", "{{tasks.x.y}}"),
]
_ODD_KEYS: list[Any] = ["", "*", "a.b", "${var.x}", "<<", None, 1, True, "[0]", "\ud800"]
_SNIPPETS = [
    *("*nosuch", "*cluster", "&cluster ", "&a [*a]", "<<: *cluster\n", "<<: *nosuch\n", "<<: [*cluster, *retries]\n"),
    *("<<: {a: 1}\n", "<<: 1\n", "!!binary x", "!!python/object:os.system x", "!x ", "\t", "'", '"', "[", "{", "}"),
    *("---\n", "...\n", "%YAML 1.2\n---\n", "\0", "\ufeff", "\u2028", "\x85", "\r", "\udcff", "? [a]\n: b\n", "|\n"),
    *("# dabs-lab: ignore D102\n", "# dabs-lab: ignore D9,, because\n", "# dabs-lab: x\n", "# streams: ,\n"),
    *(
        "# checkpoint:\n",
        "# endless # bounded\n",
        "# writes: a b\n",
        "#",
        ": ",
        "- ",
        "\n",
        "0x",
        "1_0_",
        "\\",
        "${",
        '"\\UFFFFFFFF"',
        '"\\ud800"',
    ),
]


def _texts(folder: Path) -> Bundle:
    files = [path for path in folder.rglob("*.yml") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8", "surrogateescape") for path in files}


def seeds() -> list[Bundle]:
    """Return the bundles that are mutated: a rich one, the examples of the rules, and those of the bundle reader."""
    rich = {"databricks.yml": _RICH, "resources/score.yml": _INCLUDED, "dabs-lab.yml": _SETTINGS}
    found = [rich]
    for folder in sorted(EXAMPLES.iterdir()):
        for example in sorted(folder.iterdir()):
            found.append(_texts(example) if example.is_dir() else {"databricks.yml": example.read_text("utf-8")})
    return [*found, *(_texts(folder) for folder in sorted(CASES.iterdir()) if folder.is_dir())]


def mutated_bundle(draw: Draw, bundles: list[Bundle]) -> Bundle:
    """Return a bundle with one to three mutations."""
    # The rich bundle has most of what rules look at.
    files = dict(draw(st.sampled_from([*bundles[:1] * (len(bundles) // 2), *bundles])))
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(files)))
        try:
            content = yaml.safe_load(files[name])
            values = draw(st.sampled_from((True, True, True, False)))
        except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
            values = False
        files[name] = _dumped(mutated_value(draw, content)) if values else _mutated_text(draw, files[name])
    return files


def mutated_value(draw: Draw, content: Any) -> Any:
    """Return a changed copy of a value as YAML or JSON can have it; it may share values, and contain itself."""
    path = draw(st.sampled_from(_paths(content)))
    value = _at(content, path)
    match draw(st.sampled_from(("drop", "odd", "odd", "odd", "key", "share", "cycle", "nest", "repeat", "targets"))):
        case "drop" if path:
            return _changed(content, path[:-1], lambda around: _without(around, path[-1]))
        case "key" if path and isinstance(path[-1], str):
            key = draw(st.sampled_from([*_ODD_KEYS, *(one for other in _paths(content) for one in other[-1:])]))
            renamed = lambda around: {key if name == path[-1] else name: one for name, one in around.items()}  # noqa: E731
            return _changed(content, path[:-1], renamed)
        case "share":
            return _changed(content, path, lambda _: _at(content, draw(st.sampled_from(_paths(content)))))
        case "cycle" if isinstance(value, dict | list):
            inside: Any = {"again": None} if isinstance(value, dict) else [None]
            inside[draw(st.sampled_from(["again", *value])) if isinstance(value, dict) else 0] = inside
            return _changed(content, path, lambda _: inside)
        case "nest":
            for _ in range(draw(st.sampled_from((1, 2, 20, 90, 150, 300)))):
                value = [value] if draw(st.booleans()) else {"a": value}
            return _changed(content, path, lambda _: value)
        case "repeat" if isinstance(value, list):
            return _changed(content, path, lambda items: items * draw(st.integers(2, 30)))
        case "targets" if isinstance(content, dict):
            return {**content, draw(st.sampled_from(("targets", "environments"))): _odd_targets(draw)}
        case _:
            return _changed(content, path, lambda _: draw(st.sampled_from(_ODD)))


def _odd_targets(draw: Draw) -> Any:
    sections = ("mode", "default", "resources", "variables", "workspace", "run_as", "presets", "git", "permissions")
    names = st.sampled_from(["dev", "prod", "", "a b", "${var.x}", "*"])
    target = st.dictionaries(st.sampled_from(sections), st.sampled_from([*_ODD, "development", "production"]))
    return draw(st.sampled_from(_ODD) | st.dictionaries(names, target | st.none(), max_size=3))


def _mutated_text(draw: Draw, text: str) -> str:
    lines = text.splitlines(keepends=True) or [""]
    at, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    match draw(st.sampled_from(("insert", "insert", "drop", "repeat", "swap", "indent", "cut", "deep"))):
        case "drop":
            del lines[at]
        case "repeat":
            lines[at] *= 2
        case "swap":
            lines[at], lines[other] = lines[other], lines[at]
        case "indent":
            lines[at] = "  " + lines[at] if draw(st.booleans()) else lines[at].removeprefix("  ")
        case "cut":
            return text[: draw(st.integers(0, len(text)))]
        case "deep":
            depth = draw(st.sampled_from((30, 120, 400, 2000)))
            lines.append("deep: " + draw(st.sampled_from(("[" * depth + "]" * depth, "{a: " * depth + "}" * depth))))
        case _:
            start = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:start] + draw(st.sampled_from(_SNIPPETS)) + lines[at][start:]
    return "".join(lines)


def _dumped(content: Any) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _paths(value: Any, path: tuple[Any, ...] = (), around: tuple[int, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values, without those inside a value that contains itself or that is nested deeply."""
    if id(value) in around or len(path) > 25:
        return [path]
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(one for key, below in pairs for one in _paths(below, (*path, key), (*around, id(value))))]


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


def _changed(value: Any, path: tuple[Any, ...], function: Callable[[Any], Any]) -> Any:
    if not path:
        return function(value)
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _changed(value[path[0]], path[1:], function)
    return copy


def _without(around: Any, part: Any) -> Any:
    if isinstance(around, dict):
        return {name: value for name, value in around.items() if name != part}
    return [value for at, value in enumerate(around) if at != part]
