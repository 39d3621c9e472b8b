"""Checks of this machine before Java and Spark start: each error is one line that says what to do."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from dabs_lab.errors import MachineError
from dabs_lab.machine_checks import check_spark_home, check_user, names_in_utf_8


def test_a_user_without_an_entry_in_the_password_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(number: int) -> pwd.struct_passwd:
        raise KeyError(number)

    check_user()
    monkeypatch.setattr(pwd, "getpwuid", without)
    with pytest.raises(MachineError, match=rf"id {os.getuid()} has no entry in the password file.*/etc/passwd"):
        check_user()


def test_a_spark_home_without_spark_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    with pytest.raises(MachineError, match="unset SPARK_HOME"):
        check_spark_home()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "spark-submit").touch()
    check_spark_home()
    monkeypatch.delenv("SPARK_HOME")
    check_spark_home()


@pytest.mark.parametrize("given", ["C", "POSIX", "no_SUCH.UTF-8", ""])
def test_java_opens_file_names_in_any_language_with_any_locale(given: str) -> None:
    code = (
        "import os, subprocess\n"
        "from dabs_lab.machine_checks import names_in_utf_8\n"
        "with names_in_utf_8():\n"
        "    shown = subprocess.run(['java', '-XshowSettings:properties', '-version'], capture_output=True)\n"
        "print(b'sun.jnu.encoding = UTF-8' in shown.stderr, os.environ.get('LC_ALL'))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("LANG", "LC_CTYPE", "LC_ALL")}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "LC_ALL": given} if given else environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["True", given or "None"], ran.stderr


def test_a_utf_8_locale_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with names_in_utf_8():
        assert os.environ["LC_ALL"] == "C.UTF-8"
    assert os.environ["LC_ALL"] == "C.UTF-8"
