"""Accepted findings do not count until their date has passed; a wrong file is an error."""

from datetime import date
from pathlib import Path

import pytest

from sensor_streams.errors import ConfigurationError
from sensor_streams.preflight.accepted_findings import Acceptance, apply_acceptances, load_accepted
from sensor_streams.preflight.findings import Finding, Report, Unchecked

DAY = date(2026, 6, 30)
CHECKS = ("location.nested", "sink.constraint")
NESTED = Finding("location.nested", "error", "landing", "inside of readings", "apart", "move it")


def judged(*acceptances: Acceptance, day: date = DAY, families: tuple[str, ...] = ("location", "sink")) -> Report:
    return apply_acceptances(Report([NESTED], [], dict.fromkeys(families, 1)), acceptances, day)


def accepted(**more: object) -> Acceptance:
    entry = {"check": "location.nested", "subject": "landing", "reason": "moved in July", "until": DAY, **more}
    return Acceptance.model_validate(entry)


def written(folder: Path, text: str) -> Path:
    file = folder / "preflight.yml"
    file.write_text(text, "utf-8")
    return file


@pytest.mark.parametrize("subject", ["landing", "*"])
def test_an_accepted_finding_does_not_count_and_is_reported_with_its_reason(subject: str) -> None:
    report = judged(accepted(subject=subject))
    assert report.findings == []
    (one,) = report.accepted
    assert (one.finding, one.reason, one.until) == (NESTED, "moved in July", "2026-06-30")
    assert report.notes == []


def test_an_expired_acceptance_counts_again_and_is_mentioned() -> None:
    report = judged(accepted(), day=date(2026, 7, 1))
    (one,) = report.findings
    assert one.found == "inside of readings (accepted until 2026-06-30, which has passed: moved in July)"
    assert (report.accepted, report.notes) == ([], [])
    longer = judged(accepted(), accepted(subject="*", until="2026-08-01"), day=date(2026, 7, 1))
    assert longer.findings == []


@pytest.mark.parametrize("other", [{"subject": "archive"}, {"check": "sink.constraint"}, {"subject": "land"}])
def test_an_acceptance_of_another_subject_or_check_accepts_nothing(other: dict[str, str]) -> None:
    report = judged(accepted(**other))
    assert report.findings == [NESTED]
    (note,) = report.notes
    assert note.startswith("accepted, but not found: ")


def test_an_acceptance_is_reported_as_unused_only_if_its_checks_ran() -> None:
    away = Unchecked("location", "landing", "HTTP 503")
    assert apply_acceptances(Report([], [away], {"location": 1}), [accepted()], DAY).notes == []
    assert apply_acceptances(Report([], [], {"sink": 1}), [accepted()], DAY).notes == []
    assert len(apply_acceptances(Report([], [], {"location": 1}), [accepted()], DAY).notes) == 1


def test_a_file_is_read_with_its_dates(tmp_path: Path) -> None:
    entry = "- {check: location.nested, subject: landing, reason: moved in July, until: 2026-06-30}"
    assert load_accepted(written(tmp_path, f"accepted:\n{entry}\n"), CHECKS) == [accepted()]
    assert load_accepted(written(tmp_path, ""), CHECKS) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accepted:\n- check: location.nested\n  subject: x\n  reason: r\n", "line 2, accepted.0.until: is missing"),
        (
            "accepted:\n- {check: a, subject: b, reason: c,\n   until: soon}\n",
            "line 3, accepted.0.until: is not a date",
        ),
        ("accepted:\n- {check: a, subject: b, reason: c, until: 2026-13-01}\n", "line 2, accepted.0.until"),
        ("accepted:\n- {check: location.nest, subject: b, reason: c, until: 2026-01-01}\n", "no check is called"),
        (
            "accepted:\n- {check: location.nested, subject: b,\n   reason: '', until: 2026-01-01}\n",
            "line 3, .*is empty",
        ),
        (
            "accepted:\n- {check: location.nested, subject: b,\n   why: c, until: 2026-01-01}\n",
            "line 3, .*unknown field",
        ),
        ("accept: []\n", "line 1, accept: unknown field: write a list under accepted"),
        ("accepted: [\n", "not valid YAML"),
        ("accepted: 3\n", "line 1, accepted: is not a list: write one"),
        ("- a\n", "line 1, the whole file: write `accepted:` and a list"),
        ("accepted: []\naccepted: []\n", "line 2, accepted: is a duplicate key"),
        (2 * "- {check: location.nested, subject: b, reason: c, until: 2026-01-01}\n", "the whole file"),
        (
            "accepted:\n" + 2 * "- {check: location.nested, subject: b, reason: c, until: 2026-01-01}\n",
            "line 3, accepted.1.subject: location.nested of b is a duplicate: remove one",
        ),
    ],
)
def test_a_wrong_file_is_reported_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as error:
        load_accepted(written(tmp_path, text), CHECKS)
    assert str(error.value).startswith(str(tmp_path / "preflight.yml"))


def test_an_unreadable_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nosuch.yml: cannot be read \(No such file"):
        load_accepted(tmp_path / "nosuch.yml", CHECKS)
    (tmp_path / "preflight.yml").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="is not UTF-8 text"):
        load_accepted(tmp_path / "preflight.yml", CHECKS)
