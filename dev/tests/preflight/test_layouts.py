"""Random layouts with real tables: no alarm for any spelling of a path, and every break is found."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from dev.tests.preflight.broken import Copy
from tests.plant import Plant

pytestmark = [pytest.mark.xdist_group("preflight"), pytest.mark.slow]
# For each of the seven breaks: 35 in all.
LAYOUTS = 5

# Spellings of one folder; `link` is a link to its parent.
SPELLINGS: dict[str, Callable[[Path, Path], str]] = {
    "plain": lambda place, link: str(place),
    "slash at the end": lambda place, link: f"{place}/",
    "two slashes": lambda place, link: f"{place.parent}//{place.name}",
    "file:/": lambda place, link: f"file:{place}",
    "file:///": lambda place, link: f"file://{place}",
    "FILE:/": lambda place, link: f"FILE:{place}",
    "dots": lambda place, link: f"{place.parent}/./x/../{place.name}",
    "link": lambda place, link: f"{link}/{place.name}",
    "link with a scheme": lambda place, link: f"file:{link}/{place.name}/",
}
FOLDERS = ("plain", "with space", "ü", "100%", "a%20b", "it's")


def elsewhere(copy: Copy, place: Path) -> set[str]:
    """Point the entry to an empty path."""
    copy.point_entry(copy.name("readings"), f"{place}x")
    return {"location.nothing-there"}


def stale(copy: Copy, place: Path) -> set[str]:
    """Point the entry to a copy."""
    shutil.copytree(place, f"{place}-copy")
    copy.point_entry(copy.name("readings"), f"{place}-copy/")
    return {"location.stale-copy"}


def older(copy: Copy, place: Path) -> set[str]:
    """Point the entry to a copy without the last batch."""
    stale(copy, place)
    for file in Path(f"{place}-copy/_delta_log").glob("*2.*"):
        file.unlink()
    return {"location.stale-copy", "source.restored"}


def moved(copy: Copy, place: Path) -> set[str]:
    """Move table and entry, but not the bindings."""
    shutil.move(place, f"{place} moved")
    copy.point_entry(copy.name("readings"), f"file:{place} moved")
    return {"location.moved"}


def dropped(copy: Copy, place: Path) -> set[str]:
    """Remove the entry."""
    copy.remove_entry("readings")
    return {"location.no-entry"}


def shared(copy: Copy, place: Path) -> set[str]:
    """Add a second entry for the path, in another spelling."""
    copy.point_entry("spark_catalog.else.twin", f"file://{place.parent}//{place.name}/")
    return {"location.shared"}


def nested(copy: Copy, place: Path) -> set[str]:
    """Add another entry below the path."""
    copy.point_entry("spark_catalog.else.deep", f"{place}/deep")
    return {"location.nested"}


MUTATIONS = (elsewhere, stale, older, moved, dropped, shared, nested)


def test_healthy_layouts_have_no_findings_and_each_break_is_found(
    original: Plant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counted: Counter[str] = Counter()
    spellings = st.sampled_from(sorted(SPELLINGS))

    def layouts(number: int, mutation: Callable[[Copy, Path], set[str]]) -> None:
        @seed(number)
        @settings(max_examples=LAYOUTS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(FOLDERS), spellings, spellings, spellings, spellings)
        def layout(folder: str, entry: str, sink: str, source: str, root: str) -> None:
            home = tmp_path / str(counted.total())
            copy = Copy.of(original, home / folder, "readings")
            place, link, up = copy.table("readings"), home / "link", home / "up"
            link.symlink_to(place.parent)
            up.symlink_to(copy.folder)
            copy.point_entry(copy.name("readings"), SPELLINGS[entry](place, link))
            for stream, spelling in (("readings", sink), ("sensor_features", source)):
                copy.bind(stream, "readings", SPELLINGS[spelling](place, link))
            tables = SPELLINGS[root](place.parent, up)
            assert copy.found(tables=tables) == {}, (folder, entry, sink, source, root)
            counted["healthy layouts, no alarm"] += 1
            expected = mutation(copy, place)
            assert set(copy.found(tables=tables)) == expected, (folder, entry, sink, source, root, mutation.__name__)
            counted[f"broken layouts, found: {mutation.__name__}"] += 1

        layout()

    for number, mutation in enumerate(MUTATIONS):
        layouts(number, mutation)
    with capsys.disabled():
        print("", *(f"{what}: {count}" for what, count in sorted(counted.items())), sep="\n")
    assert counted["healthy layouts, no alarm"] == LAYOUTS * len(MUTATIONS) == counted.total() // 2
