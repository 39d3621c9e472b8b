"""What is accepted counts no more, until its day has passed; the file says nothing that nobody hears."""

from datetime import date
from pathlib import Path

import pytest

from sensor_streams.errors import ConfigurationError
from sensor_streams.preflight.findings import Finding, Unchecked
from sensor_streams.preflight.waivers import Acceptance, judge, load_accepted

DAY = date(2026, 6, 30)
CHECKS = ("location.nested", "sink.constraint")
NESTED = Finding("location.nested", "error", "landing", "inside of readings", "apart", "move it")
FAMILIES = ("location", "sink")


def accepted(**more: object) -> Acceptance:
    told = {"check": "location.nested", "subject": "landing", "reason": "moved in July", "until": DAY, **more}
    return Acceptance.model_validate(told)


def written(folder: Path, text: str) -> Path:
    file = folder / "preflight.yml"
    file.write_text(text, "utf-8")
    return file


@pytest.mark.parametrize("subject", ["landing", "*"])
def test_an_accepted_finding_does_not_count_and_is_told_with_its_reason(subject: str) -> None:
    judged = judge([NESTED], [], [accepted(subject=subject)], DAY, FAMILIES)
    assert judged.findings == []
    (one,) = judged.accepted
    assert (one.finding, one.reason, one.until) == (NESTED, "moved in July", "2026-06-30")
    assert judged.notes == []


def test_from_the_day_after_it_counts_again_and_says_that_its_acceptance_has_ended() -> None:
    judged = judge([NESTED], [], [accepted()], date(2026, 7, 1), FAMILIES)
    (one,) = judged.findings
    assert one.found == "inside of readings (it was accepted until 2026-06-30, that has ended: moved in July)"
    assert (judged.accepted, judged.notes) == ([], [])
    longer = judge([NESTED], [], [accepted(), accepted(subject="*", until="2026-08-01")], date(2026, 7, 1), FAMILIES)
    assert longer.findings == []


@pytest.mark.parametrize("other", [{"subject": "archive"}, {"check": "sink.constraint"}, {"subject": "land"}])
def test_what_is_accepted_of_another_subject_or_check_accepts_nothing(other: dict[str, str]) -> None:
    judged = judge([NESTED], [], [accepted(**other)], DAY, FAMILIES)
    assert judged.findings == [NESTED]
    (note,) = judged.notes
    assert note.startswith("accepted, and not found: ")


def test_an_acceptance_is_called_unused_only_where_its_check_was_done() -> None:
    assert judge([], [Unchecked("location", "landing", "HTTP 503")], [accepted()], DAY, FAMILIES).notes == []
    assert judge([], [], [accepted()], DAY, ["sink"]).notes == []
    assert len(judge([], [], [accepted()], DAY, ["location"]).notes) == 1


def test_a_file_is_read_with_its_dates_as_days(tmp_path: Path) -> None:
    entry = "- {check: location.nested, subject: landing, reason: moved in July, until: 2026-06-30}"
    assert load_accepted(written(tmp_path, f"accepted:\n{entry}\n"), CHECKS) == [accepted()]
    assert load_accepted(written(tmp_path, ""), CHECKS) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accepted:\n- check: location.nested\n  subject: x\n  reason: r\n", "line 2, accepted.0.until: is missing"),
        ("accepted:\n- {check: a, subject: b, reason: c,\n   until: soon}\n", "line 3, accepted.0.until: is no date"),
        ("accepted:\n- {check: a, subject: b, reason: c, until: 2026-13-01}\n", "line 2, accepted.0.until"),
        ("accepted:\n- {check: location.nest, subject: b, reason: c, until: 2026-01-01}\n", "no check is called"),
        (
            "accepted:\n- {check: location.nested, subject: b,\n   reason: '', until: 2026-01-01}\n",
            "line 3, .*is empty",
        ),
        (
            "accepted:\n- {check: location.nested, subject: b,\n   why: c, until: 2026-01-01}\n",
            "line 3, .*no such field",
        ),
        ("accept: []\n", "line 1, accept: there is no such field: write a list under accepted"),
        ("accepted: [\n", "not valid YAML"),
        ("accepted: 3\n", "line 1, accepted: is no list: write one"),
        ("- a\n", "line 1, the whole file: write `accepted:` and a list"),
        ("accepted: []\naccepted: []\n", "line 2, accepted: is a duplicate key"),
        (2 * "- {check: location.nested, subject: b, reason: c, until: 2026-01-01}\n", "the whole file"),
        (
            "accepted:\n" + 2 * "- {check: location.nested, subject: b, reason: c, until: 2026-01-01}\n",
            "line 3, accepted.1.subject: location.nested of b stands twice: remove one",
        ),
    ],
)
def test_a_wrong_file_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as told:
        load_accepted(written(tmp_path, text), CHECKS)
    assert str(told.value).startswith(str(tmp_path / "preflight.yml"))


def test_a_file_that_cannot_be_read_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nosuch.yml: cannot be read \(No such file"):
        load_accepted(tmp_path / "nosuch.yml", CHECKS)
    (tmp_path / "preflight.yml").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="is not UTF-8 text"):
        load_accepted(tmp_path / "preflight.yml", CHECKS)
