"""Where nothing is wrong nothing is said, and nothing is changed by asking."""

import hashlib
import time
from pathlib import Path

import pytest

from sensor_streams.preflight.facts import CheckpointFacts, TableFacts
from tests.preflight.broken import Copy, findings, not_told

pytestmark = pytest.mark.xdist_group("preflight")


def hashes(folder: Path) -> dict[str, str]:
    """Every file below a folder, and what is in it."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_a_plant_that_ran_is_healthy_all_is_known_of_it_and_nothing_is_changed(copy: Copy) -> None:
    before = hashes(copy.folder)
    begin = time.monotonic()
    facts = copy.facts()
    print(f"gathered in {time.monotonic() - begin:.1f} s")
    begin = time.monotonic()
    facts = copy.facts()
    print(f"again in {time.monotonic() - begin:.1f} s")
    for s, c in facts.checkpoints.items():
        print(s, c)
    assert findings(facts) == []
    assert not_told(facts) == []
    assert hashes(copy.folder) == before
    assert len(facts.tables) == 6
    assert all(isinstance(table, TableFacts) for table in facts.tables.values())
    assert all((isinstance(c, CheckpointFacts) and c.sources) or n == "readings" for n, c in facts.checkpoints.items())
