"""Checks of this machine before Java and Spark start."""

import codecs
import locale
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from dabs_lab.errors import MachineError

_UTF_8 = ("C.UTF-8", "C.utf8", "en_US.UTF-8", "UTF-8")


def check_user() -> None:
    """Raise MachineError if the user has no name, as in a container that runs with a numeric id."""
    number = os.getuid()
    try:
        pwd.getpwuid(number)
    except KeyError:
        raise MachineError(
            f"the user with the id {number} has no entry in the password file, and Java and Hadoop need its name: "
            f"run as a named user, or add a line such as `app:x:{number}:{os.getgid()}::/tmp:/bin/sh` to "
            "/etc/passwd"
        ) from None


def check_spark_home() -> None:
    """Raise MachineError if SPARK_HOME is not a folder of Spark."""
    home = os.environ.get("SPARK_HOME")
    if home and not any(Path(home, "bin", name).is_file() for name in ("spark-submit", "spark-submit.cmd")):
        raise MachineError(
            f"SPARK_HOME is {home}, and bin/spark-submit is missing there: unset SPARK_HOME to use the Spark of this "
            "Python, or set it to a folder with Spark"
        )


@contextmanager
def names_in_utf_8() -> Iterator[None]:
    """Set a UTF-8 locale while the JVM starts: without one it cannot open file names that are not ASCII.

    A UTF-8 locale is kept. The environment is restored at the end.
    """
    if _is_utf_8(os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or "C"):
        yield
        return
    before = os.environ.get("LC_ALL")
    found = next((name for name in _UTF_8 if _is_utf_8(name)), None)
    if found is not None:
        os.environ["LC_ALL"] = found
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("LC_ALL", None)
        else:
            os.environ["LC_ALL"] = before


def check_names(spark: SparkSession) -> None:
    """Raise MachineError if the JVM cannot open file names that are not ASCII: it would skip such files."""
    jvm = spark._jvm
    encoding = None if jvm is None else jvm.java.lang.System.getProperty("sun.jnu.encoding")
    if encoding is not None and encoding.upper().replace("-", "") != "UTF8":
        raise MachineError(
            f"Java reads file names as {encoding} and would silently skip files with other characters: set LC_ALL "
            "to a UTF-8 locale of this machine (`locale -a` lists them)"
        )


def _is_utf_8(name: str) -> bool:
    """Return True if the machine has the locale and it uses UTF-8."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, name)
        return codecs.lookup(locale.nl_langinfo(locale.CODESET)).name == "utf-8"
    except (locale.Error, LookupError):
        return False
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
