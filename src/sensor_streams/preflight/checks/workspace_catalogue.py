"""The checks that speak of a workspace, of models and of the platform: id → how grave, and what it is about."""

from collections.abc import Mapping

from sensor_streams.preflight.findings import Severity

WORKSPACE_CHECKS: Mapping[str, tuple[Severity, str]] = {
    "rights.missing": ("error", "the principal lacks a privilege on an object that the job touches"),
    "location.no-object": ("error", "a catalog or volume that the job names is not there"),
    "location.outside-external-location": ("error", "a table's place is in no external location of the workspace"),
    "location.read-only": ("error", "a table's place is in an external location that may only be read"),
    "location.no-write": ("error", "the credential of an external location cannot write or delete there"),
    "model.no-champion": ("warning", "no version of a model has the alias champion: its stream waits"),
    "model.version-gone": ("error", "the version that the alias names is not there, or not whole"),
    "model.signature": ("error", "a model reads columns that the features do not have, or of another type"),
    "model.flavour": ("error", "a model is no pyfunc, or what it imports is not here"),
    "model.python": ("warning", "a model was logged with another Python than the one that runs here"),
    "platform.version": ("error", "Spark, Delta or the runtime is another than the project is built for"),
    "platform.disk": ("error", "the disk is nearly full"),
    "platform.memory": ("warning", "there is little memory left"),
    "platform.clock": ("warning", "this machine's clock is off"),
}
