"""The preflight of a task, in its own process before its streams start: on the cluster there is no bundle."""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from sensor_streams.errors import PreflightError, SensorStreamsError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Stream
from sensor_streams.preflight.checks.registry import CHECKS
from sensor_streams.preflight.collect_session import session_facts
from sensor_streams.preflight.families import FAMILIES
from sensor_streams.preflight.findings import Finding, Report
from sensor_streams.preflight.report import described, in_one_line
from sensor_streams.preflight.run_checks import family_of, run_checks
from sensor_streams.preflight.unchecked import of_facts
from sensor_streams.preflight.waivers import ACCEPTED_FILE, judge, load_accepted
from sensor_streams.settings import Settings
from sensor_streams.tables import Catalog

log = logging.getLogger("sensor_streams.preflight")

# Seconds for the model registry: a start must not wait long for one that is away, scoring goes on without it.
_PATIENCE = 5.0


def refuse_on_findings(catalog: Catalog, settings: Settings, streams: Sequence[Stream], fleet: Fleet) -> Report | None:
    """Look at what the streams of a task are bound to; nothing is changed. None when the setting `preflight` is off.

    Warnings, findings on models, and what could not be checked, are logged in a line each. Raises PreflightError for
    other errors that nobody has accepted, unless the setting is `warn`; ConfigurationError for a wrong file of accepted
    findings.
    """
    if settings.preflight == "off":
        return None
    begin = time.monotonic()
    file = Path(settings.sensors).with_name(ACCEPTED_FILE)
    acceptances = load_accepted(file, CHECKS) if file.exists() else []
    try:
        facts = session_facts(catalog, settings, streams, fleet, _PATIENCE)
    except (SensorStreamsError, PySparkException, Py4JError, OSError) as error:
        # It is to find what is wrong with the tables. That it cannot look is no reason to stand still.
        log.warning("preflight could not be done: %s", " ".join(str(error).split()))
        return None
    checked = run_checks(facts, FAMILIES, of_facts(facts))
    judged = judge(checked.findings, checked.unchecked, acceptances, datetime.now(UTC).date(), checked.families)
    seconds = time.monotonic() - begin
    report = Report(judged.findings, checked.unchecked, judged.accepted, checked.families, seconds, judged.notes)
    refuses = settings.preflight == "refuse"
    # A model that cannot score loses no data: the version before it goes on, or its stream waits. The others go on.
    errors = [finding for finding in report.errors if family_of(finding.check) != "model"]
    for finding in report.findings:
        if not (refuses and finding in errors):
            log.warning("preflight: %s", in_one_line(finding))
    for one in report.unchecked:
        log.warning("preflight: could not be checked: %s of %s: %s", one.check, one.subject, one.because)
    for note in report.notes:
        log.warning("preflight: %s", note)
    if refuses and errors:
        raise PreflightError(refusal(errors))
    log.info("preflight: %d findings in %.1f s", len(report.findings), seconds)
    return report


def refusal(errors: Sequence[Finding]) -> str:
    """Why a task does not start: what is wrong with which table, then each finding, then how to start all the same."""
    first, more = errors[0], len(errors) - 1
    _, title = CHECKS[first.check]
    others = f", and {more} more" if more else ""
    return "\n".join(
        [
            f"{first.subject}: {title} ({first.check}){others}. Nothing was read or written, no stream was started.",
            *(line for finding in errors for line in described(finding)),
            "To start all the same, knowing that data may be lost: --preflight=warn, a parameter of this task.",
        ]
    )
