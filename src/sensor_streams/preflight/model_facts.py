"""Read version, signature, flavour and Python version of the champions. Of a version, only `MLmodel` is downloaded."""

import importlib.util
import threading
from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from sensor_streams.errors import ModelError
from sensor_streams.inference.registry import Registry, silence_mlflow
from sensor_streams.preflight.facts import ModelFacts, Unknown


def gather_models(registry: Registry, kinds: Sequence[str], seconds: float = 30.0) -> dict[str, ModelFacts | Unknown]:
    """Return the champion of each kind, queried in parallel; Unknown if the registry does not answer in time.

    registry: a store on this machine or Unity Catalog. seconds: longest wait for each answer.
    """
    answers: SimpleQueue[tuple[str, ModelFacts | Unknown]] = SimpleQueue()

    def query(kind: str) -> None:
        try:
            answers.put((kind, _champion(registry, kind)))
        except ModelError as error:
            answers.put((kind, Unknown(str(error).splitlines()[0])))
        except Exception as error:
            answers.put((kind, Unknown(f"{type(error).__name__} from the registry {registry.registry_uri}")))

    silence_mlflow()
    mlflow.set_tracking_uri(registry.tracking_uri)
    mlflow.set_registry_uri(registry.registry_uri)
    # Daemon threads: MLflow retries for minutes.
    for kind in kinds:
        threading.Thread(target=query, args=(kind,), name=f"preflight-{kind}", daemon=True).start()
    late = Unknown(f"the registry {registry.registry_uri} did not answer within {seconds:.0f} s")
    models: dict[str, ModelFacts | Unknown] = dict.fromkeys(kinds, late)
    for _ in kinds:
        try:
            kind, facts = answers.get(timeout=seconds)
        except Empty:
            break
        models[kind] = facts
    return models


def _champion(registry: Registry, kind: str) -> ModelFacts:
    name = registry.name(kind)
    champion = registry.champion(kind)
    if champion is None:
        return ModelFacts(name, None)
    try:
        info = mlflow.models.get_model_info(f"models:/{name}/{champion.version}")
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "INVALID_PARAMETER_VALUE"):
            raise ModelError(f"version {champion.version} of {name} cannot be read: {error.message}") from None
        return ModelFacts(name, champion.version, gone=f"the registry does not find it: {error.message}")
    except OSError as error:
        return ModelFacts(name, champion.version, gone=f"its files are missing: {error}")
    inputs, optional = _inputs(info)
    flavour: Mapping[str, Any] | None = info.flavors.get("python_function")
    python = None if flavour is None else flavour.get("python_version")
    return ModelFacts(name, champion.version, inputs, python, _problems(flavour), optional)


def _inputs(info: Any) -> tuple[dict[str, str], frozenset[str]]:
    """Return the inputs of the signature, name → type (`tensor` for a tensor), and the optional ones."""
    schema = None if info.signature is None else info.signature.inputs
    if schema is None or not schema.has_input_names():
        return {}, frozenset()
    inputs = {column.name: getattr(column.type, "name", "tensor") for column in schema.inputs}
    return inputs, frozenset(column.name for column in schema.inputs if not getattr(column, "required", True))


def _problems(flavour: Mapping[str, Any] | None) -> tuple[str, ...]:
    if flavour is None:
        return ("it has no pyfunc flavour",)
    module = str(flavour.get("loader_module", ""))
    try:
        found = bool(module) and importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        found = False
    return () if found else (f"its loader module {module or '(not named)'} is not installed here",)
