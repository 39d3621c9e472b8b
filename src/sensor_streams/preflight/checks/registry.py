"""Register checks: `@check(id, severity, title)` above a function is the only declaration."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from sensor_streams.preflight.facts import Facts
from sensor_streams.preflight.findings import Finding, Severity

CheckFunction = Callable[[Facts], Iterable[Finding]]
Function = TypeVar("Function", bound=CheckFunction)


@dataclass(frozen=True)
class Check:
    """A registered check. run: its function, which several checks may share."""

    severity: Severity
    title: str
    run: CheckFunction


# By id. The developer package adds the checks of a workspace when it is imported.
CHECKS: dict[str, Check] = {}


def check(id: str, severity: Severity, title: str) -> Callable[[Function], Function]:
    """Register a function as the check of this id. A function of several checks has one decorator for each."""

    def register(function: Function) -> Function:
        if id in CHECKS:
            raise ValueError(f"check {id} is registered twice: give one of them another id")
        CHECKS[id] = Check(severity, title, function)
        return function

    return register


def load_checks(package: str) -> None:
    """Import every module of a package, so that its checks register themselves."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")


def finding(
    check: str,
    subject: str,
    found: str,
    expected: str,
    remedy: str,
    command: str | None = None,
    *,
    severity: Severity | None = None,
) -> Finding:
    """Return a finding with the severity of its check, unless another one is given."""
    return Finding(check, severity or CHECKS[check].severity, subject, found, expected, remedy, command)


def family_of(check: str) -> str:
    """Return the part of a check's id before the dot."""
    return check.partition(".")[0]
