"""Models in MLflow: log them, set and read the alias champion, and load them in the workers."""

import contextlib
import hashlib
import io
import logging
import os
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from pyspark import Broadcast, SparkFiles
from pyspark.sql import SparkSession

from sensor_streams.errors import ModelError, UnavailableModelError, UnusableModelError

ALIAS = "champion"
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")

# Models that this Python process has loaded, by kind and digest of the files. The version does not identify the files:
# when a model is deleted and registered again, its versions start at 1 again.
_loaded: dict[tuple[str, str], Any] = {}
# Models of each kind to keep: the champion and the version before it.
_KEPT = 2


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model."""

    name: str
    version: str


@dataclass(frozen=True)
class LoadedModel:
    """One version of a model, with its files broadcast to the workers.

    columns: input columns. required: those that a row must have. before: the version that scores the rows for which
    this one returns null.
    """

    kind: str
    version: str
    packed: Broadcast[bytes]
    digest: str
    columns: tuple[str, ...]
    required: tuple[str, ...] = ()
    before: "LoadedModel | None" = None

    @classmethod
    def of_folder(
        cls,
        spark: SparkSession,
        folder: Path,
        kind: str,
        version: str,
        columns: Iterable[str],
        required: Iterable[str] = (),
    ) -> "LoadedModel":
        """Broadcast a folder with a model's files to the workers."""
        packed = _pack(folder)
        digest = hashlib.sha256(packed).hexdigest()
        return cls(kind, version, spark.sparkContext.broadcast(packed), digest, tuple(columns), tuple(required))

    def release(self) -> None:
        """Delete the files from the workers' memory."""
        self.packed.unpersist()


def model_in_worker(kind: str, digest: str, packed: Broadcast[bytes]) -> Any:
    """Return the model, loaded once per Python process. Raises UnusableModelError when it cannot be loaded."""
    if (kind, digest) not in _loaded:
        silence_mlflow()
        folder = _unpacked(digest, packed)
        try:
            model = mlflow.pyfunc.load_model(str(folder))
        except (Exception, SystemExit) as error:
            raise UnusableModelError(f"it cannot be loaded: {error_summary(error)}") from None
        for known in [k for k in _loaded if k[0] == kind][: 1 - _KEPT]:
            del _loaded[known]
        _loaded[kind, digest] = model
    return _loaded[kind, digest]


def error_summary(error: BaseException) -> str:
    """Return class and first line of an error that a model's own code raised."""
    message = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
    return f"{type(error).__name__}: {message[:300]}"


def _unpacked(digest: str, packed: Broadcast[bytes]) -> Path:
    """Return a folder with the model's files, shared by all workers of a node.

    It is in Spark's folder, which is deleted with the cluster. Spark kills idle workers, so a worker could not delete a
    folder of its own.
    """
    root = SparkFiles.getRootDirectory()
    folder = Path(root, f"model-{digest}")
    if not folder.exists():
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=root))
        with zipfile.ZipFile(io.BytesIO(packed.value)) as archive:
            archive.extractall(draft)
        try:
            draft.rename(folder)
        except OSError:
            # Another worker was first. If not, loading the model reports the error.
            shutil.rmtree(draft, ignore_errors=True)
    return folder


@dataclass(frozen=True)
class Registry:
    """A model registry of MLflow: its addresses, and the names of models and experiment."""

    tracking_uri: str
    registry_uri: str
    prefix: str = ""
    experiment: str = "sensor_streams"
    artifacts: str | None = None

    def name(self, kind: str) -> str:
        """Return the name of the registered model."""
        return f"{self.prefix}{kind}"

    def client(self) -> MlflowClient:
        """Return a client of this registry."""
        if self.tracking_uri.startswith("sqlite:///"):
            Path(self.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        silence_mlflow()
        return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.registry_uri)

    def champion(self, kind: str) -> ModelVersion | None:
        """Return the version with the alias champion, None if the model or the alias does not exist.

        Raises ModelError when the registry does not answer.
        """
        if (
            self.tracking_uri.startswith("sqlite:///")
            and not Path(self.registry_uri.removeprefix("sqlite:///")).exists()
        ):
            return None
        try:
            found = self.client().get_model_version_by_alias(self.name(kind), ALIAS)
        except MlflowException as error:
            if error.error_code in _MISSING:
                return None
            raise ModelError(f"the model registry {self.registry_uri} does not answer: {error.message}") from None
        except Exception as error:
            raise ModelError(f"the model registry {self.registry_uri} does not answer: {error}") from None
        return ModelVersion(self.name(kind), str(found.version))

    def load(self, spark: SparkSession, kind: str, version: str) -> LoadedModel:
        """Download a version's files and broadcast them to the workers.

        Raises UnavailableModelError when the download fails, UnusableModelError when the model cannot score.
        """
        silence_mlflow()
        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.registry_uri)
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = mlflow.artifacts.download_artifacts(
                    artifact_uri=f"models:/{self.name(kind)}/{version}", dst_path=folder
                )
                # Some stores return an empty folder for files that are gone.
                info = mlflow.models.Model.load(path)
            except Exception as error:
                raise UnavailableModelError(f"it cannot be downloaded: {error_summary(error)}") from None
            inputs = info.get_input_schema()
            if inputs is None or not inputs.has_input_names():
                what = "no signature" if inputs is None else "a signature that does not name its inputs"
                raise UnusableModelError(f"it has {what}: log it with one that names columns of device_features")
            if "python_function" not in info.flavors:
                raise UnusableModelError("it has no pyfunc flavour: log it as a pyfunc")
            required = [str(c.name) for c in inputs.inputs if getattr(c, "required", True)]
            return LoadedModel.of_folder(spark, Path(path), kind, version, inputs.input_names(), required)

    def load_for_command(self, spark: SparkSession, kind: str, version: str) -> LoadedModel:
        """Load a version for a command, which has no other version to use. Raises ModelError with the version."""
        try:
            return self.load(spark, kind, version)
        except UnusableModelError as error:
            raise ModelError(f"model {self.name(kind)} version {version} cannot be used: {error}") from None

    def load_champion(self, spark: SparkSession, kind: str) -> LoadedModel | None:
        """Load the champion for a command, None if the model has no champion. Raises ModelError."""
        found = self.champion(kind)
        return None if found is None else self.load_for_command(spark, kind, found.version)

    def log(
        self,
        kind: str,
        model: Any,
        signature: Any,
        metrics: dict[str, float],
        params: dict[str, Any],
        tags: dict[str, str],
    ) -> ModelVersion:
        """Log a model and register it, without an alias yet."""
        client = self.client()
        # Discard the output of MLflow. Training runs alone in its process, so no other output is lost.
        with contextlib.redirect_stderr(io.StringIO()):
            mlflow.set_tracking_uri(self.tracking_uri)
            mlflow.set_registry_uri(self.registry_uri)
            known = client.get_experiment_by_name(self.experiment)
            if known is None:
                location = None if self.artifacts is None else Path(self.artifacts).absolute().as_uri()
                identity = client.create_experiment(self.experiment, artifact_location=location)
            else:
                identity = known.experiment_id
            with mlflow.start_run(experiment_id=identity, run_name=kind):
                mlflow.log_params(params)
                mlflow.log_metrics(metrics)
                mlflow.set_tags(tags)
                info = mlflow.pyfunc.log_model(
                    name="model",
                    python_model=model,
                    signature=signature,
                    registered_model_name=self.name(kind),
                    # The cluster has the package's dependencies, and resolving them here would take minutes.
                    pip_requirements=["sensor-streams"],
                )
        return ModelVersion(self.name(kind), str(info.registered_model_version))

    def promote(self, versions: list[ModelVersion]) -> None:
        """Give each version the alias champion: streams then score with it."""
        client = self.client()
        for version in versions:
            client.set_registered_model_alias(version.name, ALIAS, version.version)


def _pack(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            # Without times, so that the same files always have the same digest.
            name = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            archive.writestr(name, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


@cache
def silence_mlflow() -> None:
    """Silence log and warnings of MLflow and its database; errors are still raised.

    The change is permanent, because several threads look up models at the same time.
    """
    for name in ("mlflow", "alembic", "mlflow.store.db.utils", "mlflow.models.model", "mlflow.pyfunc"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(mlflow|alembic|sqlalchemy|pydantic)\b")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
