"""Cluster of a job on this machine: a Spark driver JVM with a gateway and a session for each task."""

import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from py4j.clientserver import ClientServer, JavaParameters, PythonParameters
from py4j.protocol import Py4JError, Py4JNetworkError

from dabs_lab.errors import MachineError
from dabs_lab.local_spark import (
    LOCAL_SETTINGS,
    escape_property,
    last_error_line,
    with_usual_java_options,
    write_log_settings,
)
from dabs_lab.runner.local_config import ClusterSizes

# Name of a task's session at its gateway.
SESSION = "session-of-this-task"
# Seconds that a JVM gets to end before it is killed; its shutdown hooks get less.
_STOP_SECONDS, _HOOK_SECONDS = 6.0, 4
_START_SECONDS = 120.0


@dataclass(frozen=True)
class Gateway:
    """Connection of one task to the driver: port on loopback, secret, session."""

    port: int
    secret: str
    _server: Any
    _session: Any

    def environment(self) -> dict[str, str]:
        """Return the variables with which PySpark attaches; only the same user can see the secret."""
        return {"PYSPARK_GATEWAY_PORT": str(self.port), "PYSPARK_GATEWAY_SECRET": self.secret}

    def close(self) -> None:
        """Stop the task's jobs and queries. Raises Py4JError or OSError if the driver is gone."""
        self._session.interruptAll()
        for query in list(self._session.streams().active()):
            with suppress(Py4JError):
                query.stop()
        self._server.shutdown()


class Driver:
    """A JVM, started by PySpark's launcher. It ends with this process, because its standard input closes then."""

    def __init__(
        self,
        name: str,
        sizes: ClusterSizes,
        spark_conf: Mapping[str, str],
        environment: Mapping[str, str],
        log_file: Path,
        warehouse: Path,
        folder: Path,
    ) -> None:
        self.name = name
        self._folder = folder
        self.log_file = log_file
        self.stopping = False
        # True after its first answer.
        self.up = False
        self._private = Path(tempfile.mkdtemp(prefix="dabs-lab-"))
        self._info = self._private / "gateway"
        self._client: Any = None
        self._root: Any = None
        self._begin = 0
        try:
            self.process = self._start(self._settings(sizes, spark_conf, warehouse, environment), environment)
        except OSError as error:
            shutil.rmtree(self._private, ignore_errors=True)
            raise MachineError(f"cluster {name}: Spark's launcher does not start ({error.strerror})") from None

    @property
    def pid(self) -> int:
        """Return the process id of the JVM, which replaces the launcher."""
        return self.process.pid

    def watch(self, ended: Callable[[], None]) -> None:
        """Call `ended` from another thread when the JVM has ended."""

        def wait() -> None:
            self.process.wait()
            ended()

        threading.Thread(target=wait, name=f"driver {self.name}", daemon=True).start()

    def connect(self) -> None:
        """Wait for the driver and start its Spark context. Raises MachineError if it does not answer."""
        try:
            port, secret = self._wait_for_address()
            self._client = ClientServer(
                java_parameters=JavaParameters(port=port, auth_token=secret, auto_convert=True),
                python_parameters=PythonParameters(port=0, eager_load=False),
            )
            builder = self._client.jvm.org.apache.spark.sql.classic.SparkSession.builder()
            self._root = builder.getOrCreate()
            self.up = True
        except (Py4JError, OSError) as error:
            raise MachineError(self._start_error(str(error))) from None
        finally:
            shutil.rmtree(self._private, ignore_errors=True)

    def open(self) -> Gateway:
        """Return a gateway and a session for one task. Raises Py4JError or OSError if the driver is gone.

        Each task needs its own gateway: the callbacks of foreachBatch go to one client per gateway.
        """
        server = self._client.jvm.org.apache.spark.api.python.Py4JServer(self._root.sparkContext().getConf())
        server.start()
        session = self._root.newSession()
        server.server().getJavaServer().getGateway().putObject(SESSION, session)
        return Gateway(int(server.getListeningPort()), str(server.secret()), server, session)

    def stop(self) -> None:
        """End the JVM and wait for its end."""
        self.stopping = True
        with suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        if not self.wait(_STOP_SECONDS):
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self._private, ignore_errors=True)

    def wait(self, seconds: float = 0.0) -> bool:
        """Wait at most `seconds`; return True if the JVM has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(seconds, 0.001))
        return self.process.returncode is not None

    def _settings(
        self, sizes: ClusterSizes, spark_conf: Mapping[str, str], warehouse: Path, environment: Mapping[str, str]
    ) -> Path:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        options = (
            f"-Dlog4j2.configurationFile={write_log_settings(self.log_file).as_uri()} "
            # A stream that does not stop must not keep the JVM alive.
            f"-Dspark.shutdown.timeout={_HOOK_SECONDS}s"
        )
        settings = {
            **LOCAL_SETTINGS,
            "spark.driver.memory": sizes.memory,
            # Progress bars would fill the log.
            "spark.ui.showConsoleProgress": "false",
            **spark_conf,
            # These describe this machine and override the cluster's settings.
            "spark.master": f"local[{sizes.cores}]",
            "spark.app.name": self.name,
            "spark.sql.warehouse.dir": str(warehouse),
            "spark.driver.extraJavaOptions": with_usual_java_options(
                f"{options} {spark_conf.get('spark.driver.extraJavaOptions', '')}".strip(), environment
            ),
        }
        # Values may be secrets: they go into a private file, not on the command line.
        file = self._private / "spark.conf"
        lines = (f"{escape_property(name)} {escape_property(str(value))}" for name, value in settings.items())
        text = "".join(line.replace("\n", "\\n") + "\n" for line in lines)
        file.write_text(text, encoding="utf-8")
        return file

    def _start(self, settings: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        # Like pyspark's launch_gateway, which supports only one gateway per process; the runner needs several.
        from pyspark.find_spark_home import _find_spark_home

        home = Path(_find_spark_home())  # type: ignore[no-untyped-call]
        self._begin = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [str(home / "bin" / "spark-submit"), "--properties-file", str(settings), "pyspark-shell"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={
                    **environment,
                    "SPARK_HOME": str(home),
                    "SPARK_CONNECT_MODE": "0",
                    "_PYSPARK_DRIVER_CONN_INFO_PATH": str(self._info),
                },
                # Ctrl-C is for the runner, which stops tasks before drivers.
                start_new_session=True,
            )

    def _wait_for_address(self) -> tuple[int, str]:
        waited = 0.0
        while not self._info.exists():
            if self.wait(0.05):
                raise OSError(f"the JVM ended with {self.process.returncode}")
            waited += 0.05
            if waited > _START_SECONDS:
                raise OSError(f"the JVM did not answer within {_START_SECONDS:.0f} s")
        data = self._info.read_bytes()
        port, length = struct.unpack(">ii", data[:8])
        return port, data[8 : 8 + length].decode("utf-8")

    def _start_error(self, error: str) -> str:
        self.wait(1.0)
        reason = last_error_line(self.log_file, self._begin) or error
        return f"cluster {self.name}: Spark does not start: {reason.splitlines()[0]}; its log is {self.log_file}"


# Errors of a call to a driver that has ended or is ending.
DRIVER_ERRORS = (Py4JError, Py4JNetworkError, OSError, IndexError)


def environment_of_driver(base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of driver and tasks: Python of the workers, no variables of another gateway."""
    kept = {name: value for name, value in base.items() if not name.startswith("PYSPARK_") and name != "SPARK_REMOTE"}
    python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    return {"SPARK_LOCAL_IP": "127.0.0.1", **kept, **python}
