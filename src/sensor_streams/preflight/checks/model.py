"""Check the champions: do they exist, match the features, and load in this environment?"""

from collections.abc import Iterator, Mapping

from sensor_streams.preflight.checks.queries import printed
from sensor_streams.preflight.checks.registry import check, finding
from sensor_streams.preflight.facts import ExpectedStream, Facts, ModelFacts
from sensor_streams.preflight.findings import Finding, Severity

_TRAIN = "sensor-streams train"
# MLflow type → Spark types that MLflow converts to it without loss; see "schema enforcement" in MLflow's docs.
_FITS: Mapping[str, frozenset[str]] = {
    "double": frozenset(("double", "float", "int", "smallint", "tinyint")),
    "float": frozenset(("float",)),
    "long": frozenset(("bigint", "int", "smallint", "tinyint")),
    "integer": frozenset(("int", "smallint", "tinyint")),
    "string": frozenset(("string",)),
    "boolean": frozenset(("boolean",)),
    "datetime": frozenset(("timestamp", "timestamp_ntz", "date")),
    "binary": frozenset(("binary",)),
}


@check("model.no-champion", "warning", "no version of the model has the alias champion, so its stream waits")
@check("model.version-gone", "error", "the champion version of the model is missing or incomplete")
@check("model.signature", "error", "the model's inputs do not match the columns of the features")
@check("model.flavour", "error", "the model has no pyfunc flavour, or its loader module is not installed")
@check("model.python", "warning", "the model was logged with a different Python version")
@check("model.refused", "error", "the model cannot score the features")
def champions(facts: Facts) -> Iterator[Finding]:
    """Check each champion once, for the first stream that scores with it."""
    checked = set[str]()
    for stream in facts.expected.streams:
        model = None if stream.model is None or stream.model in checked else facts.models.get(stream.model)
        if stream.model is None or not isinstance(model, ModelFacts):
            continue
        checked.add(stream.model)
        if model.version is None:
            found = "no version has the alias champion"
            expected = f"a champion for the stream {stream.name}"
            remedy = f"train a model; until then {stream.name} waits and writes nothing"
            yield _finding("model.no-champion", model, found, expected, remedy, _TRAIN)
        elif model.gone is not None:
            found = model.gone
            expected = "a complete version with the alias champion"
            remedy = "set the alias to a version that exists, or train again"
            yield _finding("model.version-gone", model, found, expected, remedy, _TRAIN)
        else:
            yield from _signature(facts, stream, model)
            yield from _loading(facts, model)
            yield from _refused(stream, model)


def _finding(
    check: str,
    model: ModelFacts,
    found: str,
    expected: str,
    remedy: str,
    command: str | None = None,
    severity: Severity | None = None,
) -> Finding:
    name = model.name if model.version is None else f"{model.name} version {model.version}"
    return finding(check, f"model {name}", found, expected, remedy, command, severity=severity)


def _signature(facts: Facts, stream: ExpectedStream, model: ModelFacts) -> Iterator[Finding]:
    """Compare the model's inputs with the columns of the stream's sources."""
    specs = [facts.expected.specs[source] for source in stream.sources if source in facts.expected.specs]
    if not specs:
        return
    columns = {name: printed(kind.lower()) for spec in specs for name, kind in spec.columns}
    source = ", ".join(stream.sources)
    if not model.inputs:
        found = "it has no signature, so the columns that it reads are unknown"
        expected = f"a signature with columns of {source}"
        remedy = "log the model with a signature"
        yield _finding("model.signature", model, found, expected, remedy)
        return
    wrong = [
        f"{name}: {kind} in the model, {columns[name]} in {source}"
        for name, kind in sorted(model.inputs.items())
        if name in columns and columns[name] not in _FITS.get(kind, frozenset())
    ]
    absent = sorted(model.inputs.keys() - columns.keys())
    wrong += [f"{name}: not in {source}" for name in absent if name not in model.optional]
    if wrong:
        found = "; ".join(wrong)
        expected = f"inputs that {source} has, with the same types"
        remedy = "train on the current features, or set the alias to a version that matches them"
        yield _finding("model.signature", model, found, expected, remedy, _TRAIN)
    optional = [name for name in absent if name in model.optional]
    if optional:
        found = f"it reads {', '.join(optional)}, which {source} does not have: scored as sensors without readings"
        expected = f"inputs that {source} has"
        remedy = "train on the current features, if these sensors were removed for good"
        yield _finding("model.signature", model, found, expected, remedy, _TRAIN, "warning")


def _loading(facts: Facts, model: ModelFacts) -> Iterator[Finding]:
    if model.problems:
        found = "; ".join(model.problems)
        expected = "a pyfunc flavour that loads here"
        remedy = "log the model as a pyfunc, or install what it imports in the environment of the task"
        yield _finding("model.flavour", model, found, expected, remedy)
    python = "" if facts.platform is None else facts.platform.python
    if python and model.python and python.split(".")[:2] != model.python.split(".")[:2]:
        found = f"logged with Python {model.python}"
        expected = f"Python {python}, which runs here: a pickled model may not load in another version"
        remedy = "train with the Python version that scores"
        yield _finding("model.python", model, found, expected, remedy, _TRAIN)


def _refused(stream: ExpectedStream, model: ModelFacts) -> Iterator[Finding]:
    if model.refused is not None:
        waits = f"{stream.name} waits and keeps its input"
        found = f"{model.refused}; {waits if model.in_place is None else f'version {model.in_place} scores'}"
        expected = f"a model that scores rows of device_features for {stream.name}"
        remedy = "fix and log the model again, or set the alias champion to a version that works (docs/models.md)"
        yield _finding("model.refused", model, found, expected, remedy)
