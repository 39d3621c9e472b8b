"""Models: a champion, inputs that the features have, a flavour and a Python that load here."""

from collections.abc import Iterator, Mapping

from sensor_streams.preflight.checks.queries import printed
from sensor_streams.preflight.checks.registry import finding
from sensor_streams.preflight.facts import ExpectedStream, Facts, ModelFacts, Unknown
from sensor_streams.preflight.findings import Finding, Severity

# MLflow's type → Spark's types that reach it without loss; see MLflow's "schema enforcement": integers go into longs
# and doubles, floats into doubles.
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


def check(facts: Facts) -> Iterator[Finding]:
    """What is wrong with the champions that the job's streams score with."""
    python = "" if facts.platform is None else facts.platform.python
    seen = set[str]()
    for stream in facts.meant.streams:
        model = None if stream.model is None or stream.model in seen else facts.models.get(stream.model)
        if stream.model is None or model is None or isinstance(model, Unknown):
            continue
        seen.add(stream.model)
        if model.version is None:
            yield _finding(
                "model.no-champion",
                model,
                "no version has the alias champion",
                f"a champion, by which {stream.name} scores",
                f"train one; until then {stream.name} waits and writes nothing",
                "sensor-streams train",
            )
        elif model.gone is not None:
            yield _finding(
                "model.version-gone",
                model,
                model.gone,
                "the version that the alias champion names, whole",
                "give the alias to a version that is there, or train anew",
                "sensor-streams train",
            )
        else:
            yield from _signature(model, stream, facts)
            yield from _loading(model, python)
            if model.refused is not None:
                yield _refused(model, stream.name)


def _finding(
    check: str,
    model: ModelFacts,
    found: str,
    expected: str,
    remedy: str,
    command: str | None = None,
    *,
    severity: Severity | None = None,
) -> Finding:
    named = model.name if model.version is None else f"{model.name} version {model.version}"
    return finding(check, f"model {named}", found, expected, remedy, command, severity=severity)


def _refused(model: ModelFacts, stream: str) -> Finding:
    instead = f"{stream} waits and keeps its input" if model.in_place is None else f"version {model.in_place} scores"
    return _finding(
        "model.refused",
        model,
        f"{model.refused}; {instead}",
        f"a model that scores rows of device_features for {stream}",
        "mend and log the model again, or give the alias champion to a version that works (docs/models.md)",
    )


def _signature(model: ModelFacts, stream: ExpectedStream, facts: Facts) -> Iterator[Finding]:
    """Inputs against the columns that the stream's sources declare."""
    specs = [facts.meant.specs[source] for source in stream.sources if source in facts.meant.specs]
    if not specs:
        return
    columns = {name: kind.lower() for spec in specs for name, kind in spec.columns}
    where = ", ".join(stream.sources)
    if not model.inputs:
        yield _finding(
            "model.signature",
            model,
            "it has no signature, so nobody knows which columns it reads",
            f"a signature with columns of {where}",
            "log the model with a signature",
        )
        return
    wrong = [
        f"{name}: {told} in the model, {columns[name]} in {where}"
        for name, told in sorted(model.inputs.items())
        if name in columns and printed(columns[name]) not in _FITS.get(told, frozenset())
    ]
    absent = sorted(model.inputs.keys() - columns.keys())
    needed = [name for name in absent if name not in model.optional]
    if wrong or needed:
        yield _finding(
            "model.signature",
            model,
            "; ".join([*wrong, *(f"{name}: not in {where}" for name in needed)]),
            f"inputs that {where} has, of the same types",
            "train on the features as they are now, or give the alias to a version that fits them",
            "sensor-streams train",
        )
    silent = [name for name in absent if name in model.optional]
    if silent:
        yield _finding(
            "model.signature",
            model,
            f"reads {', '.join(silent)}, which {where} does not have: scored as sensors that are silent",
            f"inputs that {where} has",
            "train on the features as they are now, if these sensors are gone for good",
            "sensor-streams train",
            severity="warning",
        )


def _loading(model: ModelFacts, python: str) -> Iterator[Finding]:
    if model.problems:
        yield _finding(
            "model.flavour",
            model,
            "; ".join(model.problems),
            "a pyfunc flavour that loads here",
            "log the model as a pyfunc, or bring what it imports into the environment of the task",
        )
    if python and model.python and python.split(".")[:2] != model.python.split(".")[:2]:
        yield _finding(
            "model.python",
            model,
            f"logged with Python {model.python}",
            f"Python {python}, which runs here: a pickled model may not load in another one",
            "train with the Python that scores",
            "sensor-streams train",
        )
