"""Checkpoints that are broken, in use, or belong to another stream."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dev.tests.preflight.broken import SILENT, Copy, by_id
from sensor_streams.checkpoint.lease import Lease, this_process
from sensor_streams.preflight.checkpoint_facts import holders
from sensor_streams.preflight.facts import Facts
from tests.plant import Plant

pytestmark = pytest.mark.xdist_group("preflight")


@pytest.fixture
def copy(original: Plant, tmp_path: Path) -> Copy:
    """A copy of the checkpoints."""
    return Copy.of(original, tmp_path)


def cut(file: Path) -> None:
    """Keep the first half of a file, as after a full disk."""
    half = file.read_bytes()[: file.stat().st_size // 2]
    file.write_bytes(half)


def more_batches(folder: Path) -> None:
    """Add two batches, copies of the last one."""
    for batch in (2, 3):
        for log in ("offsets", "commits"):
            shutil.copy(folder / log / "1", folder / log / str(batch))


def gap(folder: Path, file: str) -> None:
    """Add two batches and delete a file of the third one."""
    more_batches(folder)
    (folder / file).unlink()


BREAKS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "the query's id is gone": ("checkpoint.missing", lambda c: (c / "metadata").unlink()),
    "the query's id is cut short": ("checkpoint.half-written", lambda c: cut(c / "metadata")),
    "offsets are empty": ("checkpoint.half-written", lambda c: (c / "offsets/1").write_bytes(b"")),
    "offsets are cut short": ("checkpoint.half-written", lambda c: cut(c / "offsets/1")),
    "a commit is empty": ("checkpoint.half-written", lambda c: (c / "commits/0").write_bytes(b"")),
    "the binding is gone": ("checkpoint.unbound", lambda c: (c.parent / "binding.json").unlink()),
    "the binding is cut short": ("checkpoint.unbound", lambda c: cut(c.parent / "binding.json")),
    "offsets of an ended batch are gone": ("checkpoint.gap", lambda c: (c / "offsets/1").unlink()),
    "all commits are gone": ("checkpoint.gap", lambda c: shutil.rmtree(c / "commits")),
    "a commit in between is gone": ("checkpoint.gap", lambda c: gap(c, "commits/2")),
    "offsets in between are gone": ("checkpoint.gap", lambda c: gap(c, "offsets/1")),
    "another target's": (
        "checkpoint.other-stream",
        lambda c: (c.parent / "binding.json").write_text(
            (c.parent / "binding.json").read_text("utf-8").replace("spark_catalog.", "prod."), "utf-8"
        ),
    ),
}


@pytest.mark.slow
def test_each_damage_of_a_checkpoint_is_found(copy: Copy) -> None:
    checkpoint = copy.checkpoint("readings")
    kept = copy.folder / "kept"
    shutil.copytree(checkpoint, kept)
    for what, (expected, break_it) in BREAKS.items():
        break_it(checkpoint / "checkpoint")
        found = dict(copy.found())
        # The table has the batch that the checkpoint has lost, which is another finding.
        ahead = found.pop("sink.transaction-ahead", set())
        assert found == {expected: {"readings"}}, what
        assert not ahead or what == "offsets of an ended batch are gone"
        shutil.rmtree(checkpoint)
        shutil.copytree(kept, checkpoint)
    assert copy.found() == {}


def test_a_checkpoint_of_another_stream_is_the_only_finding(copy: Copy) -> None:
    shutil.rmtree(copy.checkpoint("readings"))
    shutil.copytree(copy.checkpoint("sensor_features"), copy.checkpoint("readings"))
    assert "its stream writes sensor_features" in copy.only("checkpoint.other-stream").found
    # With the stream's own binding, either of the two can be the copy.
    shutil.copytree(copy.plant.folder / "checkpoints/readings", copy.checkpoint("readings"), dirs_exist_ok=True)
    shutil.copy(copy.checkpoint("sensor_features") / "checkpoint/metadata", copy.checkpoint("readings") / "checkpoint")
    assert copy.found() == {"checkpoint.other-stream": {"readings", "sensor_features"}}


def test_another_run_that_holds_a_checkpoint_is_named(copy: Copy) -> None:
    lease = Lease([copy.checkpoint("readings")], this_process("nightly", 1), SILENT)
    lease.acquire()
    try:
        assert "held by run nightly, attempt 1" in copy.only("checkpoint.in-use", run="other").found
        assert copy.found(run="nightly") == {}
    finally:
        lease.release()
    assert copy.found(run="other") == {}


def test_a_dead_or_silent_holder_holds_nothing(copy: Copy) -> None:
    file = copy.checkpoint("readings") / "holder.json"
    holder = this_process("gone", 1)
    # A process id that cannot exist, and an unknown machine.
    for dead in (replace(holder, pid=2**22 + 1), replace(holder, machine="elsewhere")):
        file.write_text(json.dumps(vars(dead)), "utf-8")
        assert copy.found(run="other") == {}


def test_temporary_checkpoints_are_found_unless_the_tables_are_temporary_too(copy: Copy) -> None:
    facts = copy.facts()

    def at(checkpoints: str, tables: str | None) -> Facts:
        return replace(facts, expected=replace(facts.expected, checkpoints=checkpoints, tables=tables))

    for temporary in ("/tmp/x", "/local_disk0/x", "/dbfs/../tmp/x"):
        assert by_id(at(temporary, None)) == {"checkpoint.temporary": {temporary}}
        assert by_id(at(temporary, "/tmp/tables")) == {}
    for lasting in ("/Volumes/main/plant/checkpoints", "/srv/tmp/x", "/tmpx"):
        assert by_id(at(lasting, None)) == {}


def test_a_heartbeat_ends_the_watch_early(copy: Copy) -> None:
    lease = Lease([copy.checkpoint("readings")], this_process("nightly", 1), SILENT)
    lease.acquire()
    try:
        # A watch of an hour ends with the first heartbeat.
        held = holders([copy.checkpoint("readings")], None, timedelta(hours=1))
        assert list(held) == [copy.checkpoint("readings")]
    finally:
        lease.release()
