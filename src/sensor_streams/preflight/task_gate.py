"""Preflight of a task, in its own process before its streams start. It needs no bundle, because a cluster has none."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from sensor_streams.errors import PreflightError, SensorStreamsError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Stream
from sensor_streams.preflight.accepted_findings import ACCEPTED_FILE, apply_acceptances, load_accepted
from sensor_streams.preflight.checks.registry import CHECKS, family_of
from sensor_streams.preflight.collect_session import session_facts
from sensor_streams.preflight.findings import Finding, Report, described, in_one_line
from sensor_streams.preflight.run_checks import run_checks
from sensor_streams.preflight.unchecked import unchecked_facts
from sensor_streams.settings import Settings
from sensor_streams.tables import Catalog

log = logging.getLogger("sensor_streams.preflight")

# Seconds for the model registry. A start does not wait long for it, because scoring works without it.
_REGISTRY_SECONDS = 5.0


def refuse_on_findings(catalog: Catalog, settings: Settings, streams: Sequence[Stream], fleet: Fleet) -> Report | None:
    """Check the tables, checkpoints and models of a task; change nothing.

    Logs warnings, findings on models and unanswered queries. Raises PreflightError for other errors that are not
    accepted, unless the setting is `warn`; ConfigurationError for a wrong file of accepted findings. Returns None if
    the setting `preflight` is off, or if the facts cannot be collected.
    """
    if settings.preflight == "off":
        return None
    start = time.monotonic()
    file = Path(settings.sensors).with_name(ACCEPTED_FILE)
    # The file may contain checks that need a workspace. A task does not run them.
    acceptances = [one for one in load_accepted(file, None) if one.check in CHECKS] if file.exists() else []
    try:
        facts = session_facts(catalog, settings, streams, fleet, _REGISTRY_SECONDS)
    except (SensorStreamsError, PySparkException, Py4JError, OSError) as error:
        # A failure of preflight itself must not stop the task.
        log.warning("preflight could not be done: %s", " ".join(str(error).split()))
        return None
    report = apply_acceptances(run_checks(facts, unchecked_facts(facts)), acceptances, datetime.now(UTC).date())
    report = replace(report, seconds=time.monotonic() - start)
    # A model that cannot score loses no data: the previous version scores, or the stream waits.
    errors = [finding for finding in report.errors if family_of(finding.check) != "model"]
    refused = errors if settings.preflight == "refuse" else []
    for finding in report.findings:
        if finding not in refused:
            log.warning("preflight: %s", in_one_line(finding))
    for one in report.unchecked:
        log.warning("preflight: could not be checked: %s of %s: %s", one.check, one.subject, one.because)
    for note in report.notes:
        log.warning("preflight: %s", note)
    if refused:
        raise PreflightError(refusal(refused))
    log.info("preflight: %d findings in %.1f s", len(report.findings), report.seconds)
    return report


def refusal(errors: Sequence[Finding]) -> str:
    """Return why a task does not start: a summary, each finding, and the setting that lets it start anyway."""
    first, more = errors[0], f", and {len(errors) - 1} more" if errors[1:] else ""
    title = CHECKS[first.check].title
    return "\n".join(
        [
            f"{first.subject}: {title} ({first.check}){more}. Nothing was read or written, no stream was started.",
            *(line for finding in errors for line in described(finding)),
            "To start anyway, at the risk of losing data: --preflight=warn, a parameter of this task.",
        ]
    )
